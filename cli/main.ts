/**
 * Starts the program from its sources or from the npm package; the released file begins with `program.ts`. What is
 * compiled is kept from the moment that it is imported, so nothing of it is imported before.
 */
import process from "node:process";
import { keepCompiled } from "./compile_cache.ts";

keepCompiled(process);
// Nobody awaits it: what it throws ends the process, and no source awaits at top level.
import("./program.ts");
