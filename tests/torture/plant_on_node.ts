/**
 * Lets Node run the sources with the bug that `TLSBOOT_PLANT` names: for finders that run tlsboot's code in their own
 * process. Used as `node --import ./tests/torture/plant_on_node.ts`.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { applyPatches, findPlants } from "./plants.ts";

const patches = findPlants(process.env["TLSBOOT_PLANT"] ?? "").flatMap((plant) => plant.patches);

registerHooks({
  load(url, context, next) {
    const path = url.startsWith("file:") ? fileURLToPath(url) : "";
    const file = relative(process.cwd(), path);
    if (!patches.some((patch) => patch.file === file)) return next(url, context);
    return {
      format: "module-typescript",
      source: applyPatches(file, readFileSync(path, "utf8"), patches),
      shortCircuit: true,
    };
  },
});
