/** The full run (`.ci/full`), in which some tests do more. */
import process from "node:process";

export const isFullRun: boolean = process.env["TLSBOOT_TEST_FULL"] === "1";
