/** A warning of a command that does what it was asked to. */
import type { Io } from "../io.ts";
import { escapeValue } from "./escape.ts";
import { createStyle } from "./style.ts";

/** Tells it on stderr, in one line. */
export function warn(text: string, io: Pick<Io, "stderr" | "env">): void {
  io.stderr.write(`tlsboot: ${createStyle(io.stderr, io.env).yellow("warning:")} ${escapeValue(text)}\n`);
}
