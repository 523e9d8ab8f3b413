/**
 * Makes Node load sources with a bug of `plants.ts`. A simulation calls `plantSources`; the Node of tests imports this
 * file first and takes the name of the bug from an environment variable.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { applyPatches, findPlants, PLANT_VARIABLE } from "./plants.ts";

/** Makes this process load sources with a bug from now on. */
export function plantSources(name: string): void {
  const patches = findPlants(name).flatMap((plant) => plant.patches);
  const urls = new Map(patches.map(({ file }) => [pathToFileURL(resolve(file)).href, file]));
  registerHooks({
    load(url, context, next) {
      const file = urls.get(url);
      if (file === undefined) return next(url, context);
      const source = applyPatches(file, readFileSync(resolve(file), "utf8"), patches);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}

const named = process.env[PLANT_VARIABLE];
if (named !== undefined) plantSources(named);
