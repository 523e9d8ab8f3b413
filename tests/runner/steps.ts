/** The steps of `.ci/run` and `.ci/full`, in their order. */

/** A task of `deno.json` that must succeed. */
export interface Step {
  readonly name: string;
  /** The task and its arguments; without them, only `.ci/full` runs the step. */
  readonly run?: string;
  /** The task and its arguments in `.ci/full`, if they differ. */
  readonly full?: string;
  /** A group of paths (`GROUPS`); `.ci/run` runs the step only if one of them has changed. */
  readonly group?: string;
}

export const STEPS: readonly Step[] = [
  { name: "gate", run: "gate" },
  { name: "Debian packages", run: "debian-packages" },
  { name: "test", run: "test", full: "test --full" },
  { name: "file", run: "file", full: "file --full" },
  { name: "peers", run: "peers" },
  { name: "fuzz", run: "fuzz --inputs 1000", full: "fuzz --inputs 5000" },
  { name: "packages", run: "packages", group: "packaging" },
  { name: "interop", run: "interop --binary --changed", full: "interop --binary --full" },
  { name: "times", full: "times" },
  { name: "programs", full: "programs" },
  { name: "overload", run: "overload --binary --scale 0.05 --seconds 1", group: "server" },
  { name: "torture", full: "torture --binary" },
  { name: "torture on etcd", run: "torture --servers 3 --nodes 200 --seconds 40 --seed 8 --binary", group: "storage" },
  {
    name: "power loss",
    run: "torture --power-loss --states 60 --starts 2",
    full: "torture --power-loss",
    group: "storage",
  },
  { name: "torture under faults", full: "torture --faults all" },
  { name: "planted bugs", run: "torture --plant write-behind,precondition-ignored", full: "torture --plant all" },
];
