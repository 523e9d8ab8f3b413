/** Replays the scripts whose title contains TEXT. The arguments are `[TEXT [--all]]`. */
import process from "node:process";
import { startPair } from "../../../interop/comparison/sides.ts";
import { compareKubectl, formatStep } from "./comparison.ts";
import { CHANGING, READING } from "./scripts.ts";

const [, , text = "", all] = process.argv;
await using pair = await startPair();
const compared = await compareKubectl(pair, [...READING, ...CHANGING].filter(({ title }) => title.includes(text)));
const faults = compared.filter(({ isFault }) => isFault);
for (const step of all === undefined ? faults : compared) process.stdout.write(`${formatStep(step)}\n`);
process.stdout.write(`identical ${compared.length - faults.length} of ${compared.length}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
