import process from "node:process";

/** Whether everything runs: also what takes minutes to show again what a shorter test shows. The runner sets the variable. */
export const isFullRun: boolean = process.env["TLSBOOT_TEST_FULL"] === "1";
