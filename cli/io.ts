/** Everything a command sees of the world: streams, environment, clock, randomness. Tests hand in their own. */
import type { Clock, Random } from "../core/ports.ts";
import type { Heap } from "./heap.ts";

/** A stream that text is written to. */
export interface OutputStream {
  write(text: string): void;
  /** True on a terminal: colour, progress and text logs are for those only. */
  readonly isTerminal: boolean;
  /**
   * False while another process group has the terminal, as after `&` in a shell; undefined elsewhere, and where the
   * system does not tell.
   */
  readonly isForeground?: boolean | undefined;
  /** Width of the terminal; undefined elsewhere. */
  readonly columns: number | undefined;
}

/** A stream that text is read from. */
export interface InputStream {
  readonly isTerminal: boolean;
  /** Everything up to the end of the stream. */
  readAll(signal: AbortSignal): Promise<string>;
  /** The next line without its line break; undefined at the end of the stream. */
  readLine(signal: AbortSignal): Promise<string | undefined>;
  /** The next line as it is typed on a terminal, without showing it; undefined when it is given up. */
  readHidden(signal: AbortSignal): Promise<string | undefined>;
}

/** The world of one run of the program. */
export interface Io {
  readonly stdin: InputStream;
  /** Answers only. */
  readonly stdout: OutputStream;
  /** Everything else. */
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths of flags and arguments start here. */
  readonly cwd: string;
  /** The program that runs this one: node, deno or tlsboot itself. */
  readonly execPath: string;
  /** Versions of the runtime and of what is built into it: `node`, `openssl`, `deno` and so on. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  /** Absent where the runtime does not let itself be asked, or nobody is to ask. */
  readonly heap?: Heap;
}
