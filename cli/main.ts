/** Where the program begins that is not the released file. */
import process from "node:process";
import { keepCompiled } from "./compile_cache.ts";

keepCompiled(process);
import("./program.ts");
