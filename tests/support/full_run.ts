/** Reports whether a test belongs to the full run, in which some tests have a longer form. */
import process from "node:process";

/** Whether this is the full run (`.ci/full`). */
export const isFullRun: boolean = process.env["TLSBOOT_TEST_FULL"] === "1";
