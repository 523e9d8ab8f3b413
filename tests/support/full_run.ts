/** Reports whether this is the full run, in which some tests do more. */
import process from "node:process";

/** Whether this is the full run (`.ci/full`). */
export const isFullRun: boolean = process.env["TLSBOOT_TEST_FULL"] === "1";
