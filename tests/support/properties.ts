/** fast-check with one seed for all runs, so that a failure repeats until it is fixed. TLSBOOT_SEED chooses another. */
import process from "node:process";
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env["TLSBOOT_SEED"] ?? 20_261_125) });

export default fc;
