/** Which Node the program and the npm package need; checked before anything is loaded that an older one cannot parse. */

/** The oldest major version of Node that has the syntax (`using`) and the modules (`node:sqlite`) that are used. */
export const LEAST_NODE = 24;

/** Why this Node cannot run the program, in one sentence; undefined where it can, and on Deno. */
export function findNodeFault({ deno, node }: Readonly<Record<string, string | undefined>>): string | undefined {
  if (deno !== undefined || Number.parseInt(node ?? "", 10) >= LEAST_NODE) return undefined;
  return `tlsboot needs Node ${LEAST_NODE} or newer, and this is Node ${node}`;
}
