/** A network of its own for a process, joined to this one by a cable that can be pulled out. */
import process from "node:process";
import { runProgram } from "../child.ts";

/** A network namespace. Disposing it removes it. */
export interface NetworkNamespace extends AsyncDisposable {
  /** The address of this side of the cable. */
  readonly hostAddress: string;
  /** The address of the end inside the namespace. */
  readonly innerAddress: string;
  /** Puts a program in there: command and arguments that run it. */
  wrap(command: string, args: readonly string[]): readonly [string, readonly string[]];
  pull(): Promise<void>;
  plug(): Promise<void>;
}

/** Creates the namespace of this process; needs root, and fails loudly without. */
export async function createNetworkNamespace(): Promise<NetworkNamespace> {
  // Names of interfaces have at most 15 characters, ids of processes at most 7 digits.
  const name = `tb-${process.pid}`;
  const [outer, inner] = [`${name}-o`, `${name}-i`];
  const first = (process.pid % 64) * 4;
  const [hostAddress, innerAddress] = [`169.254.77.${first + 1}`, `169.254.77.${first + 2}`];
  const ip = async (...args: string[]) => {
    const { code, stderr } = await runProgram("ip", args);
    if (code !== 0) throw new Error(`a split network needs root and iproute2: ip ${args.join(" ")}: ${stderr}`);
  };
  const remove = async () => {
    // The cable goes with the namespace.
    await ip("netns", "delete", name);
  };
  await ip("netns", "add", name);
  try {
    await ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name);
    await ip("address", "add", `${hostAddress}/30`, "dev", outer);
    await ip("link", "set", outer, "up");
    await ip("-n", name, "address", "add", `${innerAddress}/30`, "dev", inner);
    await ip("-n", name, "link", "set", inner, "up");
    await ip("-n", name, "link", "set", "lo", "up");
  } catch (error) {
    // The first error is the more useful one.
    await remove().catch(() => undefined);
    throw error;
  }
  return {
    hostAddress,
    innerAddress,
    wrap: (command, args) => ["ip", ["netns", "exec", name, command, ...args]],
    pull: () => ip("link", "set", outer, "down"),
    plug: () => ip("link", "set", outer, "up"),
    [Symbol.asyncDispose]: remove,
  };
}
