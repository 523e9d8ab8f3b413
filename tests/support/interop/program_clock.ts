/** A clock for real programs that can be set while they run (libfaketime). Monotonic time is unchanged. */
import { existsSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";

const LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/** The clock of one or more programs. */
export interface ProgramClock {
  /** The environment of a program that uses it. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Sets the clock in the form of `faketime`: an offset such as `+365d`, or an instant `@2038-01-19 03:14:00` from
   * which it continues.
   */
  set(time: string): Promise<void>;
}

/** Creates a clock whose time is in a file. */
export async function createProgramClock(path: string, time: string, zone: string): Promise<ProgramClock> {
  if (!existsSync(LIBRARY)) {
    throw new Error(`a clock is set with ${LIBRARY}: install Debian's package libfaketime (deno task debian-packages)`);
  }
  const set = async (text: string): Promise<void> => {
    await writeFile(`${path}.next`, `${text}\n`);
    await rename(`${path}.next`, path);
  };
  await set(time);
  return {
    env: {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: path,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      TZ: zone,
      // Tests set times before the build of the program.
      TLSBOOT_EARLIEST_TIME: "2000-01-01T00:00:00Z",
    },
    set,
  };
}
