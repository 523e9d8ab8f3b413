/** Blanks what the outputs of stock programs differ in from run to run; values that were equal stay equal. */

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b/g;
/** Times as objects have them, as describe writes them, as diff heads its files with them, as helm prints them. */
const TIMES = [
  /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g,
  /\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g,
  /\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}/g,
  /\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b/g,
];
/** An age: a whole cell, or what stands with it in the cells of events. kubectl prints ages of less than two minutes in seconds. */
const AGE = /(?<=[\s("]|^)(?:\d+s|([2-9]|\d{2,})m(?:\d+s)?)(?=[\s)"]|$)/gm;
/** A duration to the nanosecond, as kubectl prints it. */
const DURATION = /\b\d+\.\d{3,}m?s\b/g;
const REVISION = /((?:resourceVersion|ResourceVersion|Resource Version)\\?"?: *\\?"?)([1-9]\d*)/g;
/** A bootstrap token, and the signature that proves its secret. */
const TOKEN = /\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g;
/** A service account token: its times and its id differ, and so does its signature. */
const ACCOUNT_TOKEN = /\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]{40,}/g;
const SIGNATURE = /\beyJ[\w-]+\.\.[\w-]{43}\b/g;
/** Time and process in the head of a line of klog's. */
const KLOG_HEAD = /^([IWEF])\d{4} [\d:.]+ +\d+ /gm;
/** Messages of client-go about a watch that it ends itself, which depend on its goroutines. */
const SHORT_WATCH = /^[IWE] reflector\.go:.*"very short watch: .*\n?/gm;
/**
 * A warning of kubeadm's about a port that it just listened on to see whether it is free (`preflight.PortOpenCheck`): the
 * same check of another kubeadm, at the other place or in another test, is the reason.
 */
const CHECKED_PORT = /^\t\[WARNING Port-(\d+)\]: Port \1 is in use\n/gm;
/** The names of temporary files of kubectl and diff. */
const TEMPORARY = /\b(LIVE-|MERGED-|kubectl-edit-)\d+/g;
/** The tables of `helm status`, which helm prints in the order of a Go map (`pkg/cmd/status.go`). */
const HELM_TABLES = /(?:^==> .*\n(?:.+\n)+\n)+/gm;

/** Lines about the API group of tlsboot, which kube-apiserver does not have. */
const OWN_GROUP = /^(?:.*\btlsboot\/v1alpha1\b.*|[a-z]+\.tlsboot)\n/gm;

/** The facts about the side whose output is blanked. */
export interface TextBlankerOptions {
  /** Values of this side only, such as its server and its folder, by the names that stand for them. */
  readonly values: Readonly<Record<string, string>>;
  /** Times from then on are blanked. */
  readonly startedAt: Date;
  /** The `generateName` prefixes that the scripts use. */
  readonly generated: readonly string[];
}

/** Creates a function that blanks the outputs of one script, in order. */
export function createTextBlanker(options: TextBlankerOptions): (text: string) => string {
  // Objects that the servers make for themselves are a few seconds older.
  const from = options.startedAt.getTime() - 120_000;
  const uids = createLabels("uid");
  const revisions = createLabels("rv");
  const tokens = createLabels("token");
  const values = Object.entries(options.values).sort(([, a], [, b]) => b.length - a.length);
  return (text) => {
    let out = text.replace(OWN_GROUP, "");
    for (const [name, value] of values) out = out.replaceAll(value, `<${name}>`);
    for (const base of options.generated) {
      const name = new RegExp(`\\b${base.replaceAll(".", "\\.")}[bcdfghjklmnpqrstvwxz2456789]{5}\\b`, "g");
      out = out.replace(name, `${base}<generated>`);
    }
    out = out.replace(ACCOUNT_TOKEN, "<service account token>").replace(KLOG_HEAD, "$1 ").replace(SHORT_WATCH, "")
      .replace(CHECKED_PORT, "")
      .replace(UUID, uids).replace(TOKEN, tokens).replace(
        SIGNATURE,
        "<signature>",
      );
    for (const time of TIMES) out = out.replace(time, (at) => Date.parse(at) < from ? at : "<time>");
    // Other minutes are no age, unless the scripts have run for as long.
    const oldest = Math.max(9, (Date.now() - from) / 60_000);
    out = out.replace(AGE, (age, minutes = "0") => Number(minutes) <= oldest ? "<age>" : age);
    out = out.replace(REVISION, (_, before: string, rv: string) => `${before}${revisions(rv)}`);
    // A watch that the limit of a wait ends is logged or not, as its answer has begun or not.
    out = out.replace(/^E reflector\.go:.*"Failed to watch" err="context deadline exceeded".*\n?/gm, "");
    out = out.replace(DURATION, "<duration>").replace(TEMPORARY, "$1<n>");
    out = out.replace(/v1\.37\.2\+tlsboot\.[\w.-]+/g, "v1.37.2");
    out = out.replace(HELM_TABLES, (tables) => tables.split(/(?=^==> )/m).sort().join(""));
    // Columns are as wide as their longest cell, ages among them.
    return out.replace(/(?<=\S) {2,}/g, "  ");
  };
}

/** Keeps of `explain` the heads, and of each field its name, type and whether it is required. */
export function cutDescriptions(text: string): string {
  const kept = text.split("\n").filter((line) => line.trim() !== "" && (!/^ {4,}/.test(line) || line.includes("\t<")));
  return `${kept.join("\n")}\n`;
}

/** Drops the lines that the other text has not. */
export function keepLines(other: string, text: string): string {
  const kept = new Set(other.split("\n"));
  return text.split("\n").filter((line) => kept.has(line)).join("\n");
}

/** Labels values in the order in which they appear first. */
function createLabels(name: string): (value: string) => string {
  const known = new Map<string, string>();
  return (value) => {
    const label = known.get(value) ?? `<${name} ${known.size + 1}>`;
    known.set(value, label);
    return label;
  };
}
