/**
 * Blanks the values that differ between any two servers, and nothing else. Each value is checked for its form first,
 * and equal values stay equal. Literal values of the corpus file are never blanked.
 */
import { isRecord } from "../../../core/lib/record.ts";
import { Buffer } from "node:buffer";
import { sortManagers } from "./managers.ts";

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b/g;
const TIME = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;
/** A JSON Web Token: the base64url of `{"` begins with `eyJ`. */
const TOKEN = /\b(eyJ[\w-]+)\.(eyJ[\w-]+)\.[\w-]{40,}/g;
const HASH = /\b[0-9A-F]{64,128}\b/g;
const REVISION = /^[1-9]\d*$/;
const DURATION = /^(?:\d+[smhdy]){1,2}$/;
/** The columns of Tables that show an age. */
const AGE_COLUMNS: readonly string[] = ["Age", "Last Seen", "First Seen"];
/** The text that surrounds revisions. */
const REVISION_IN_TEXT =
  /((?:(?:resource version:?|resourceVersion:?|ResourceVersion|current:|record|precondition|object meta:|precondition:) \(?)|resourceVersion\\*":\\*"|resourceVersion:)([1-9]\d*)(?: \(([1-9]\d*)\))?/gi;
/** Members of `/version` that describe a build. */
const BUILD: readonly string[] = [
  "gitVersion",
  "gitCommit",
  "gitTreeState",
  "buildDate",
  "goVersion",
  "compiler",
  "platform",
];
/** The programs share a clock, but the times that they write may be truncated to seconds. */
const SLACK_MS = 2_000;

/** Blanks the answers of one server during one corpus file. */
export interface Blanker {
  /** Announces a `generateName` that was sent: names generated from it are blanked everywhere. */
  expectGenerated(base: string): void;
  /** Blanks any value, such as a body or a header. */
  blank(value: unknown): unknown;
}

/** The prefix of annotations that only tlsboot sets, such as the last use of a bootstrap token. */
const OWN_ANNOTATION = "tlsboot/";

export interface BlankerOptions {
  /** The text of the corpus file, whose values are never blanked. */
  readonly literal: string;
  readonly port: number;
  readonly startedAt: Date;
  now(): Date;
}

export function createBlanker(options: BlankerOptions): Blanker {
  const uids = createLabels("uid");
  const revisions = createLabels("rv");
  const hashes = createLabels("hash");
  const generated = createLabels("generated");
  const bases = new Set<string>();
  let greatestRevision = 0;

  /** The columns with ages; only the first event of a watch as Tables defines them. */
  let ages: readonly number[] = [];

  const blankTime = (text: string, fraction: string | undefined): string => {
    const at = Date.parse(text);
    const from = options.startedAt.getTime() - SLACK_MS;
    if (Number.isNaN(at) || at < from || at > options.now().getTime() + SLACK_MS) return text;
    return fraction === undefined ? "<time>" : `<time with ${fraction.length - 1} digits>`;
  };
  const blankUid = (uid: string): string => options.literal.includes(uid) ? uid : uids.getLabel(uid);
  /** Shows a token's header and claims, with times relative to its issue. Both servers sign with the same key. */
  const blankToken = (text: string): string =>
    text.replace(TOKEN, (_token, header: string, payload: string) => {
      const decode = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as unknown;
      const claims = decode(payload) as Record<string, unknown>;
      const since = (name: string) => Number(claims[name]) - Number(claims["iat"]);
      const shown = { ...claims, exp: since("exp"), nbf: since("nbf"), iat: "<now>" };
      return `<token ${JSON.stringify(decode(header))} ${JSON.stringify(shown)}>`;
    });
  const blankText = (raw: string): string => {
    const text = raw.includes("eyJ") ? blankToken(raw) : raw;
    if (options.literal.includes(`"${text}"`) && !/[0-9a-f]{8}-/.test(text)) return text;
    // UIDs come first, because the end of a UID can look like a generated name.
    let out = text.includes("-") ? text.replace(UUID, blankUid) : text;
    for (const base of bases) {
      if (out.includes(base)) out = out.replace(generatedFrom(base), (name) => generated.getLabel(name, base));
    }
    out = out.replaceAll(`127.0.0.1:${options.port}`, "<server>").replaceAll(`localhost:${options.port}`, "<server>");
    if (out.includes("-")) out = out.replace(TIME, blankTime);
    out = out.replace(HASH, (hash) => hashes.getLabel(hash));
    if (/version|precondition/i.test(out)) {
      out = out.replace(REVISION_IN_TEXT, (whole, before: string, first: string, second: string | undefined) => {
        const blanked = (rv: string) => Number(rv) > greatestRevision + 1_000 || Number(rv) < 10 ? rv : "<rv>";
        return second === undefined
          ? `${before}${blanked(first)}`
          : whole.replace(first, blanked(first)).replace(`(${second})`, `(${blanked(second)})`);
      });
    }
    return out;
  };
  /** The revision of a list or bookmark is the store's, which other writers also increase. */
  const blankRevision = (text: string, isOfStore: boolean): string => {
    if (!REVISION.test(text)) return text;
    greatestRevision = Math.max(greatestRevision, Number(text));
    return isOfStore ? "<rv of the store>" : revisions.getLabel(text);
  };
  const blankContinue = (token: string): unknown => {
    try {
      const decoded = JSON.parse(Buffer.from(token, "base64url").toString("utf8")) as Record<string, unknown>;
      const rv = Number(decoded["rv"]);
      return { ...decoded, rv: rv < 0 ? rv : "<rv>" };
    } catch {
      return token;
    }
  };
  const blankMetadata = (metadata: Record<string, unknown>, isOfStore: boolean): Record<string, unknown> => {
    const out: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(metadata)) {
      if (key === "resourceVersion" && typeof value === "string") out[key] = blankRevision(value, isOfStore);
      else if (key === "continue" && typeof value === "string" && value !== "") out[key] = blankContinue(value);
      else if (key === "managedFields") out[key] = blank(sortManagers(value), false);
      else if (key === "annotations" && isRecord(value)) {
        const common = Object.entries(value).filter(([name]) => !name.startsWith(OWN_ANNOTATION));
        if (common.length > 0 || Object.keys(value).length === 0) out[key] = blank(Object.fromEntries(common), false);
      } else out[key] = blank(value, false);
    }
    return out;
  };
  const blank = (value: unknown, isOfStore: boolean): unknown => {
    if (typeof value === "string") return blankText(value);
    if (Array.isArray(value)) return value.map((item) => blank(item, false));
    if (typeof value !== "object" || value === null) return value;
    const record = value as Record<string, unknown>;
    const ofStore = isOfStore || "items" in record || "rows" in record || record["type"] === "BOOKMARK";
    ages = findAgeColumns(record) ?? ages;
    const out: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(record)) {
      if (key === "metadata" && isRecord(item)) out[key] = blankMetadata(item, ofStore);
      else if (key === "object" || key === "event") {
        out[key] = blank(item, record["type"] === "BOOKMARK" || (isOfStore && "cells" in record));
      } else if (key === "rows" && Array.isArray(item)) {
        // Only the row of a bookmark has the store's revision.
        out[key] = item.map((row) => blank(blankAges(row, ages), isOfStore));
      } else if (key === "columnDefinitions" && Array.isArray(item)) out[key] = item.map(blankColumn);
      else if (BUILD.includes(key) && "gitVersion" in record && typeof item === "string") out[key] = "<build>";
      else if (key === "expirationTimestamp" && typeof item === "string") {
        out[key] = `<time in ${Math.round((Date.parse(item) - options.now().getTime()) / 60_000)} minutes>`;
      } else if (key === "serverAddress" && typeof item === "string" && /:\d+$/.test(item)) out[key] = "<address>";
      else out[key] = blank(item, false);
    }
    return out;
  };
  return {
    // Names are truncated to 58 bytes before the suffix is appended.
    expectGenerated(base) {
      bases.add(base.slice(0, 58));
      // Messages quote names.
      bases.add(JSON.stringify(base.slice(0, 58)).slice(1, -1));
    },
    blank: (value) => blank(value, false),
  };
}

function findAgeColumns(record: Record<string, unknown>): readonly number[] | undefined {
  const columns = record["columnDefinitions"];
  if (!Array.isArray(columns) || columns.length === 0) return undefined;
  return columns.flatMap((column: unknown, index) =>
    isRecord(column) && AGE_COLUMNS.includes(String(column["name"])) ? [index] : []
  );
}

/** Blanks the description of a column, which tlsboot words differently, unless it is empty. */
function blankColumn(column: unknown): unknown {
  if (!isRecord(column) || typeof column["description"] !== "string" || column["description"] === "") return column;
  return { ...column, description: "<description>" };
}

function blankAges(row: unknown, columns: readonly number[]): unknown {
  if (!isRecord(row) || !Array.isArray(row["cells"])) return row;
  const cells = row["cells"].map((cell: unknown, index) =>
    columns.includes(index) && typeof cell === "string" && DURATION.test(cell) ? "<age>" : cell
  );
  return { ...row, cells };
}

/** Returns a pattern for a base and the five characters that a server appends to it. */
function generatedFrom(base: string): RegExp {
  return new RegExp(`${base.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}[bcdfghjklmnpqrstvwxz2456789]{5}(?![\\w.-])`, "g");
}

interface Labels {
  /** Returns the label of a value. Labels are numbered in the order of first appearance. */
  getLabel(value: string, prefix?: string): string;
}

function createLabels(name: string): Labels {
  const known = new Map<string, string>();
  return {
    getLabel(value, prefix = "") {
      const label = known.get(value) ?? `${prefix}<${name} ${known.size + 1}>`;
      known.set(value, label);
      return label;
    },
  };
}
