/** The program. The only file that touches the process. */
import process from "node:process";
import { runProcess } from "./process_io.ts";
import { run } from "./run.ts";

runProcess(process, run);
