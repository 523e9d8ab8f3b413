/** The environment of a command: streams, variables, clock, randomness and files. Tests pass their own. */
import type { Clock, Random } from "../core/ports.ts";
import type { Heap } from "../instance/quiet_heap.ts";
import type { FilePort } from "../client/files.ts";
import type { Connect } from "../client/transport/connect.ts";

/** An output stream of the program, such as stdout. */
export interface OutputStream {
  write(text: string): void;
  /** Draws a line that the next output erases, such as a spinner. An empty line only erases. Absent without `guardStreams`. */
  writeTransient?(line: string): void;
  /** True on a terminal. Only terminals get colour, progress and text logs. */
  readonly isTerminal: boolean;
  /**
   * False while another process group has the terminal, as after `&` in a shell. Undefined without a terminal, and on systems
   * that do not report it.
   */
  readonly isForeground?: boolean | undefined;
  /** The width of the terminal in characters; undefined if it is unknown, or without a terminal. */
  readonly columns: number | undefined;
}

/** An input stream of the program, such as stdin. */
export interface InputStream {
  readonly isTerminal: boolean;
  /** Reads to the end of the stream. */
  readAll(signal: AbortSignal): Promise<string>;
  /** Reads the next line without its line break; undefined at the end of the stream. */
  readLine(signal: AbortSignal): Promise<string | undefined>;
  /** Reads a line that is typed on a terminal without echoing it; undefined when the user cancels with Ctrl-D. */
  readHidden(signal: AbortSignal): Promise<string | undefined>;
}

/** Everything outside of the program that a run uses. */
export interface Io {
  readonly stdin: InputStream;
  /** The stream for the answer only, so that it can be piped. */
  readonly stdout: OutputStream;
  /** The stream for messages, progress and logs. */
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The current folder, an absolute path. Relative paths in flags and arguments start here. */
  readonly cwd: string;
  /** The path of the executable: node, deno or tlsboot itself. */
  readonly execPath: string;
  /** Versions of the runtime and of its components: `node`, `openssl`, `deno` and so on. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  /** The number of iterations of PBKDF2 for a new encrypted key. Only tests set it. */
  readonly keyIterations?: number;
  /** The work factor of scrypt for a new backup with a passphrase, as an exponent of two. Only tests set it. */
  readonly backupWorkFactor?: number;
  /** The heap of the process. Absent on runtimes without access to it, and in most tests. */
  readonly heap?: Heap | undefined;
}

/** What each command runs with: the environment, and adapters for it. */
export interface Tools extends Io {
  readonly files: FilePort;
  /** Opens a connection to a cluster. The first call loads the code for it. */
  readonly connect: Connect;
  /** Aborts when the user interrupts the command. */
  readonly signal: AbortSignal;
  /** True when `--debug` is given. */
  readonly isDebug: boolean;
}
