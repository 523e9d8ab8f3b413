/** Every script of the comparison, in two parts that run in parallel. */
import type { Script } from "./comparison.ts";
import { applying, applyingOnServer, changing, nodes, trustBundles } from "./apply.ts";
import { creating, generators, reviewing } from "./create.ts";
import { deciding, deleting, waiting, watching } from "./end.ts";
import { events } from "./events.ts";
import { outputs, selectors, subresources } from "./get.ts";
import { asking, looking } from "./look.ts";

/** The scripts that read and create, in the order in which they are replayed. */
export const READING: readonly Script[] = [
  ...[looking, asking, generators, creating, reviewing, outputs, selectors, subresources, events],
];

/** The scripts that change, decide, wait and delete, in the order in which they are replayed. */
export const CHANGING: readonly Script[] = [
  ...[applying, applyingOnServer, changing, nodes, trustBundles, deciding, waiting, watching, deleting],
];
