/** The corpus: HTTP exchanges kept as readable YAML files, and their format. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import type { KeyAlgorithm } from "../../../core/pki/keys/keys.ts";

/** The identities that may send an exchange. */
export const IDENTITIES = [
  "admin",
  "bootstrap",
  "node",
  "node2",
  "alice",
  "token",
  "badtoken",
  "anonymous",
] as const;

export type Identity = (typeof IDENTITIES)[number];

/** One request and what is done with its answer. Texts may have placeholders, see `variables.ts`. */
export interface Exchange {
  /** `<file>: <name>`, unique in the corpus. */
  readonly id: string;
  readonly as: Identity;
  /** Method and target, as in a request line. */
  readonly send: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Body | undefined;
  /** Variables to take from the answer, as name to dotted path; a path that ends with `?` may be missing. */
  readonly keep: Readonly<Record<string, string>>;
  readonly stream: Stream | undefined;
  /** The projection of both bodies, see `project.ts`; an entry of `resources` may set it for all its exchanges. */
  readonly project: string | undefined;
  /** The request is repeated until the answer has this status, for objects that a server caches. */
  readonly until: number | undefined;
  /** The variables of the file and of the `resources` entry of this exchange. */
  readonly variables: Readonly<Record<string, unknown>>;
}

/** The defaults of an exchange: a plain request of the administrator. */
export const PLAIN: Exchange = {
  id: "",
  as: "admin",
  send: "",
  headers: {},
  body: undefined,
  keep: {},
  stream: undefined,
  project: undefined,
  until: undefined,
  variables: {},
};

/** The body of a request. */
export type Body =
  | { readonly form: "json" | "protobuf"; readonly value: unknown }
  | { readonly form: "yaml" | "text" | "base64"; readonly value: string };

/** How to read an answer that is a stream. */
export interface Stream {
  /** The number of events after which the client closes the stream; `end` reads to its end. */
  readonly events: number | "end";
  /** The exchanges to send while the stream is open, once `after` events have arrived. */
  readonly while: readonly Exchange[];
  readonly after: number;
}

/** A PKCS#10 request that both servers get. */
export interface RequestFixture {
  readonly commonName?: string;
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly emailAddresses?: readonly string[];
  readonly key?: KeyAlgorithm;
}

/** A certificate for the key of a request fixture, from a new CA. Times are in seconds. */
export interface CertificateFixture {
  /** The name of the request fixture. */
  readonly request: string;
  readonly lifetime: number;
  /** How long ago the certificate became valid; 0 by default. */
  readonly age?: number;
  readonly dnsNames?: readonly string[];
  readonly emailAddresses?: readonly string[];
}

/** One file of the corpus. */
export interface CorpusFile {
  /** The name of the file without `.yaml`. */
  readonly name: string;
  readonly title: string;
  readonly requests: Readonly<Record<string, RequestFixture>>;
  readonly certificates: Readonly<Record<string, CertificateFixture>>;
  readonly exchanges: readonly Exchange[];
  /** The text of the file and of the shared lists; literal values in it are never blanked. */
  readonly text: string;
}

export const CORPUS = join("tests", "interop", "corpus");

/** The file with the lists of exchanges that several files use. */
const SHARED = "shared.yaml";
/** The files of the folder that are not replayed. */
const OTHER_FILES: readonly string[] = [SHARED, "differences.yaml", "grid.yaml", "identical.yaml"];

/** Reads all files. Throws an Error for an unknown key. */
export async function readCorpus(): Promise<readonly CorpusFile[]> {
  const names = (await readdir(CORPUS)).filter((name) => name.endsWith(".yaml") && !OTHER_FILES.includes(name)).sort();
  const shared = await readFile(join(CORPUS, SHARED), "utf8");
  return await Promise.all(names.map(async (name) => {
    return parseCorpusFile(name.slice(0, -".yaml".length), await readFile(join(CORPUS, name), "utf8"), shared);
  }));
}

/** Reads one file, with the lists that it may use. Throws an Error that names the exchange. */
export function parseCorpusFile(name: string, text: string, shared = "{}"): CorpusFile {
  const root = asRecord(parse(text), name);
  refuseUnknown(root, ["title", "requests", "certificates", "variables", "resources", "exchanges"], name);
  const lists = asRecord(parse(shared), SHARED);
  const own = asRecord(root["variables"] ?? {}, `${name}: variables`);
  const entries = asList(root["exchanges"], `${name}: exchanges`).flatMap((entry) => {
    const { use } = asRecord(entry, `${name}: an exchange`);
    return use === undefined ? [entry] : asList(lists[String(use)], `${name}: the shared list ${String(use)}`);
  });
  const resources = root["resources"] === undefined ? undefined : asList(root["resources"], `${name}: resources`);
  const exchanges = resources === undefined
    ? entries.map((entry) => parseExchange(name, entry, own))
    : resources.flatMap((resource) => {
      const variables = { ...own, ...asRecord(resource, `${name}: resources`) };
      return entries.map((entry) => parseExchange(`${name}/${String(variables["name"])}`, entry, variables));
    });
  refuseDuplicates(exchanges.flatMap((exchange) => [exchange, ...exchange.stream?.while ?? []]));
  return {
    name,
    title: asText(root["title"], `${name}: title`),
    requests: (root["requests"] ?? {}) as Readonly<Record<string, RequestFixture>>,
    certificates: (root["certificates"] ?? {}) as Readonly<Record<string, CertificateFixture>>,
    exchanges,
    text: text + shared,
  };
}

const BODY_FORMS = ["json", "yaml", "text", "protobuf", "base64"] as const;
const EXCHANGE_KEYS = ["name", "as", "send", "headers", "keep", "stream", "project", "until", ...BODY_FORMS];

function parseExchange(file: string, entry: unknown, variables: Readonly<Record<string, unknown>>): Exchange {
  const raw = asRecord(entry, `${file}: an exchange`);
  const id = `${file}: ${asText(raw["name"], `${file}: name of an exchange`)}`;
  refuseUnknown(raw, EXCHANGE_KEYS, id);
  const as = raw["as"] ?? "admin";
  const identity = IDENTITIES.find((candidate) => candidate === as);
  if (identity === undefined) throw new Error(`${id}: unknown identity ${String(as)}`);
  const until = raw["until"];
  if (until !== undefined && typeof until !== "number") throw new Error(`${id}: until is the number of a status`);
  const project = raw["project"] ?? variables["project"];
  return {
    id,
    as: identity,
    send: asText(raw["send"], `${id}: send`),
    headers: (raw["headers"] ?? {}) as Exchange["headers"],
    body: parseBody(id, raw),
    keep: (raw["keep"] ?? {}) as Exchange["keep"],
    stream: raw["stream"] === undefined ? undefined : parseStream(file, id, raw["stream"], variables),
    project: project === undefined ? undefined : asText(project, `${id}: project`),
    until,
    variables,
  };
}

function parseBody(id: string, raw: Readonly<Record<string, unknown>>): Body | undefined {
  const forms = BODY_FORMS.filter((form) => form in raw);
  const [form, second] = forms;
  if (form === undefined) return undefined;
  if (second !== undefined) throw new Error(`${id}: has two bodies, ${form} and ${second}`);
  if (form === "json" || form === "protobuf") return { form, value: raw[form] };
  return { form, value: asText(raw[form], `${id}: ${form}`) };
}

function parseStream(file: string, id: string, entry: unknown, variables: Readonly<Record<string, unknown>>): Stream {
  const raw = asRecord(entry, `${id}: stream`);
  refuseUnknown(raw, ["events", "after", "while"], `${id}: stream`);
  const events = raw["events"];
  if (events !== "end" && typeof events !== "number") throw new Error(`${id}: stream.events is a number or "end"`);
  const after = raw["after"] ?? 0;
  if (typeof after !== "number") throw new Error(`${id}: stream.after is a number`);
  const inner = raw["while"] === undefined ? [] : asList(raw["while"], `${id}: stream.while`);
  return { events, after, while: inner.map((one) => parseExchange(file, one, variables)) };
}

function refuseDuplicates(exchanges: readonly Exchange[]): void {
  const seen = new Set<string>();
  for (const { id } of exchanges) {
    if (seen.has(id)) throw new Error(`${id}: two exchanges have this name`);
    seen.add(id);
  }
}

function refuseUnknown(record: Readonly<Record<string, unknown>>, known: readonly string[], where: string): void {
  for (const key of Object.keys(record)) {
    if (!known.includes(key)) throw new Error(`${where}: unknown key ${key}; known are ${known.join(", ")}`);
  }
}

function asRecord(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Error(`${where}: must be a mapping`);
}

function asList(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${where}: must be a list`);
}

function asText(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  throw new Error(`${where}: must be text`);
}
