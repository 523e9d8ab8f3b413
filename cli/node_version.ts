/** The Node version that the program needs, checked before any source is loaded that an older Node cannot parse. */

/** The oldest major version of Node with the syntax (`using`) and the modules (`node:sqlite`) that the program uses. */
export const MIN_NODE_MAJOR = 24;

/** Explains in one sentence why this Node cannot run the program; undefined when it can, and on Deno. */
export function findNodeFault({ deno, node }: Readonly<Record<string, string | undefined>>): string | undefined {
  if (deno !== undefined || Number.parseInt(node ?? "", 10) >= MIN_NODE_MAJOR) return undefined;
  return `tlsboot needs Node ${MIN_NODE_MAJOR} or newer, and this is Node ${node}`;
}
