/** Every script of the comparison. */
import type { Script } from "./comparison.ts";
import { applying, applyingOnServer, changing, nodes, trustBundles } from "./apply.ts";
import { creating, generators, reviewing } from "./create.ts";
import { deciding, deleting, waiting, watching } from "./end.ts";
import { events } from "./events.ts";
import { outputs, selectors, subresources } from "./get.ts";
import { asking, looking } from "./look.ts";

/** The scripts in the order in which they are replayed. */
export const SCRIPTS: readonly Script[] = [
  ...[looking, asking, generators, creating, reviewing, outputs, selectors, subresources, events],
  ...[applying, applyingOnServer, changing, nodes, trustBundles, deciding, waiting, watching, deleting],
];
