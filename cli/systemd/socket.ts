/** The listening socket that systemd passes to a service with a socket unit (sd_listen_fds(3)). */
import process from "node:process";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";

/** The number of the first descriptor that is passed. */
const FIRST_DESCRIPTOR = 3;

/** Finds the descriptor of the socket; undefined when none was passed to this process. UsageError for more than one. */
export function findPassedSocket({ env }: Pick<Io, "env">, pid: number = process.pid): number | undefined {
  const { LISTEN_PID: receiver, LISTEN_FDS: count = "" } = env;
  if (receiver !== String(pid) || !/^[1-9]\d*$/.test(count)) return undefined;
  if (count === "1") return FIRST_DESCRIPTOR;
  throw new UsageError(
    `systemd has passed ${count} sockets, and tlsboot listens on one`,
    "keep one ListenStream= in the socket unit",
  );
}
