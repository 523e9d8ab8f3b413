/** Reads a V8 CPU profile: the time by function, by function with its callees, and by file. */

/** The part of a `.cpuprofile` that is read. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** The ids of the profile nodes that were sampled. */
  readonly samples: readonly number[];
  /** The microseconds since the previous sample. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** Milliseconds by name, in descending order. */
export type Ranking = readonly (readonly [string, number])[];

export interface Hotspots {
  readonly busyMs: number;
  readonly idleMs: number;
  readonly self: Ranking;
  readonly inclusive: Ranking;
  readonly files: Ranking;
}

const IDLE = "(idle)";

/** Summarizes a profile. `root` is the checkout, which is removed from names. */
export function findHotspots(profile: CpuProfile, root: string): Hotspots {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const times = new Map<number, number>();
  profile.samples.forEach((id, index) => addTo(times, id, (profile.timeDeltas[index] ?? 0) / 1000));
  const [self, inclusive, files] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  let [busyMs, idleMs] = [0, 0];
  for (const [id, time] of times) {
    const node = nodes.get(id);
    if (node === undefined) continue;
    if (node.callFrame.functionName === IDLE) {
      idleMs += time;
      continue;
    }
    busyMs += time;
    addTo(self, toFunctionName(node, root), time);
    addTo(files, toFileName(node, root), time);
    // A recursive function counts once.
    for (const name of new Set(findStack(id, nodes, parents).map((each) => toFunctionName(each, root)))) {
      addTo(inclusive, name, time);
    }
  }
  return { busyMs, idleMs, self: ranked(self), inclusive: ranked(inclusive), files: ranked(files) };
}

function findStack(
  leaf: number,
  nodes: ReadonlyMap<number, ProfileNode>,
  parents: ReadonlyMap<number, number>,
): readonly ProfileNode[] {
  const stack: ProfileNode[] = [];
  for (let id: number | undefined = leaf; id !== undefined; id = parents.get(id)) {
    const node = nodes.get(id);
    // The root is in every stack and so carries no information.
    if (node !== undefined && node.callFrame.functionName !== "(root)") stack.push(node);
  }
  return stack;
}

function toFunctionName({ callFrame }: ProfileNode, root: string): string {
  const { functionName, url, lineNumber } = callFrame;
  const name = functionName === "" ? "(anonymous)" : functionName;
  return url === "" ? name : `${name} ${shorten(url, root)}:${lineNumber + 1}`;
}

function toFileName({ callFrame }: ProfileNode, root: string): string {
  return callFrame.url === "" ? callFrame.functionName : shorten(callFrame.url, root);
}

function shorten(url: string, root: string): string {
  return url.replace(`file://${root}/`, "").replace(/^.*\/node_modules\/(?!\.)/, "npm:");
}

function addTo<Key>(sums: Map<Key, number>, key: Key, more: number): void {
  sums.set(key, (sums.get(key) ?? 0) + more);
}

function ranked(sums: ReadonlyMap<string, number>): Ranking {
  return [...sums].sort(([, one], [, other]) => other - one);
}
