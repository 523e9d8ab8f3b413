/** An `Io` in memory: it captures what the program prints, and the test chooses the rest. */
import type { Clock, Random } from "../../core/ports.ts";
import type { InputStream, Io, OutputStream } from "../../cli/io.ts";
import { createFakeClock } from "./fake_clock.ts";
import { createSeededRandom } from "./seeded_random.ts";

export interface CapturedIo extends Io {
  stdoutText(): string;
  stderrText(): string;
}

/** The parts of the captured Io that a test may set. */
export interface CapturedIoOptions {
  readonly stdin?: string;
  readonly isTerminal?: boolean;
  readonly isForeground?: boolean;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly execPath?: string;
  readonly versions?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Creates an Io without a terminal, with an empty environment and its clock at 2026-01-01. Deriving keys from
 * passphrases is cheap.
 */
export function createCapturedIo(options: CapturedIoOptions = {}): CapturedIo {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): OutputStream => ({
    write: (text) => void (written[name] += text),
    isTerminal: options.isTerminal ?? false,
    isForeground: options.isForeground,
    columns: options.columns,
  });
  return {
    stdin: createInput(options.stdin ?? "", options.isTerminal ?? false),
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env: options.env ?? {},
    cwd: options.cwd ?? "/nowhere",
    execPath: options.execPath ?? "/usr/bin/tlsboot",
    versions: options.versions ?? { node: "24.0.0", openssl: "3.5.0" },
    clock: options.clock ?? createFakeClock(),
    random: options.random ?? createSeededRandom(),
    keyIterations: 1_000,
    backupWorkFactor: 10,
    stdoutText: () => written.stdout,
    stderrText: () => written.stderr,
  };
}

function createInput(text: string, isTerminal: boolean): InputStream {
  let rest = text;
  return {
    isTerminal,
    readAll() {
      const all = rest;
      rest = "";
      return Promise.resolve(all);
    },
    readLine() {
      if (rest === "") return Promise.resolve(undefined);
      const [line = "", ...more] = rest.split("\n");
      rest = more.join("\n");
      return Promise.resolve(line);
    },
    readHidden(signal) {
      return this.readLine(signal);
    },
  };
}
