/** The program, in the process that it is given. */
import process from "node:process";
import { runProcess } from "./process_io.ts";
import { run } from "./run.ts";

runProcess(process, run);
