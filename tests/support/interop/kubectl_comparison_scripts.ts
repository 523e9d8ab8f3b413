/** Every script of the comparison. */
import type { Script } from "./kubectl_comparison.ts";
import { applying, applyingOnServer, changing, nodes } from "./kubectl_comparison_apply.ts";
import { creating, generators, reviewing } from "./kubectl_comparison_create.ts";
import { describing, describingNodes, events } from "./kubectl_comparison_describe.ts";
import { deciding, deleting, waiting, watching } from "./kubectl_comparison_end.ts";
import { outputs, selectors, subresources } from "./kubectl_comparison_get.ts";
import { asking, looking } from "./kubectl_comparison_look.ts";

/** The scripts in the order in which they are replayed. */
export const SCRIPTS: readonly Script[] = [
  ...[
    looking,
    asking,
    generators,
    creating,
    reviewing,
    outputs,
    selectors,
    subresources,
    describing,
    describingNodes,
    events,
  ],
  ...[applying, applyingOnServer, changing, nodes, deciding, waiting, watching, deleting],
];
