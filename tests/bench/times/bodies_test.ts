/**
 * Reading a request body takes linear time, whatever field is long: for every kind, encoding and type of patch. The
 * inputs are generated from the descriptions of the kinds, so that new fields are measured too. They are long enough to
 * detect other growth, and far below the limits of docs/engineering/threat_model.md.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, describe, test } from "node:test";
import { encodeBase64 } from "../../../core/lib/encodings.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import { parseTokenFile } from "../../../core/token/token_file.ts";
import { findCertificateFault } from "../../../core/request/issued_certificate.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { isJsonObject, type JsonObject } from "../../../core/kube/json_value.ts";
import { ALL_KINDS, configMapKind } from "../../../core/kube/kinds/mod.ts";
import {
  type FieldType,
  formatApiVersion,
  formatCollectionPath,
  type Kind,
  type MessageSchema,
} from "../../../core/kube/schema.ts";
import { parseCertificate } from "../../../core/pki/x509/certificate.ts";
import { parseCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { parseInventory } from "../../../core/approval/evidence/inventory.ts";
import { parsePolicy } from "../../../core/approval/parse_policy.ts";
import { parseProfile } from "../../../core/signing/profile_file.ts";
import { decodeBody } from "../../../server/http/body.ts";
import type { MediaType } from "../../../server/http/negotiation.ts";
import { Warnings } from "../../../server/http/exchange.ts";
import { buildRequest } from "../../support/csr_builder.ts";
import { assertLinear, STEP } from "../../support/growth.ts";
import { buildStubRequest } from "../../support/pod_request_builder.ts";
import { SSH_VECTORS } from "../../support/ssh_vectors.ts";
import { createSamples, type Sample } from "../../support/privilege/samples.ts";
import { createTestApp, type TestApp } from "../../support/test_app.ts";
import { encodeEnvelope } from "../../../core/kube/wire/protobuf_envelope.ts";
import { encodeMessage } from "../../../core/kube/wire/protobuf.ts";

/** The largest number of elements of a list or a map. */
const MOST_ELEMENTS = 1_024;
const MEASURED = [MOST_ELEMENTS / STEP, MOST_ELEMENTS];
/** The number of characters of a text, for each number of elements. */
const CHARS_PER_ELEMENT = 16;
/** Texts to repeat. Each is ambiguous for one of the parsers, and the last character makes it try all readings. */
const PIECES: readonly string[] = ["1.", "a-", "/:"];
/** The pieces for fields that are not parsed. */
const UNPARSED_PIECES = ["a-"];
const END = "!";
/** The depth to which messages in messages are filled. */
const MAX_DEPTH = 6;

/** The values of a field, by size in elements. */
interface Shape {
  readonly label: string;
  readonly value: (size: number) => unknown;
}

/** A short value, different for each index. */
function shortValue(type: FieldType, index: number, depth = 0): unknown {
  switch (type.kind) {
    case "string":
      return `k${index}`;
    case "bytes":
      return "AAAA";
    case "int32":
    case "int64":
      return index % 100;
    case "bool":
      return true;
    case "time":
      return "2026-01-01T00:00:00Z";
    case "microTime":
      return "2026-01-01T00:00:00.000000Z";
    case "quantity":
      return String(index % 100);
    case "json":
      return {};
    case "list":
      return [shortValue(type.of, index, depth)];
    case "map":
      return { [`k${index}`]: shortValue(type.of, index, depth) };
    case "message":
      return shortMessage(type, index, depth);
  }
}

function shortMessage(schema: MessageSchema, index: number, depth: number): JsonObject {
  const message: JsonObject = {};
  for (const [name, { type, presence }] of Object.entries(schema.fields)) {
    if (depth < 2 || presence === "always") message[name] = shortValue(type, index, depth + 1);
  }
  return message;
}

function repeat<T>(size: number, make: (index: number) => T): T[] {
  return Array.from({ length: size }, (_, index) => make(index));
}

/** Generates the shapes of a field and of every field in it: long texts, distinct elements and equal elements. */
function* generateShapes(type: FieldType, path: string, pieces: readonly string[], depth = 0): Generator<Shape> {
  switch (type.kind) {
    case "string":
      for (const piece of pieces) yield textShape(`${path} of ${JSON.stringify(piece)}`, piece, END);
      return;
    case "quantity":
      for (const piece of ["1", "0", "."]) yield textShape(`${path} of ${piece}`, piece, END);
      return;
    case "time":
    case "microTime":
      yield { label: path, value: (size) => `2026-01-01T00:00:00.${"1".repeat(size * CHARS_PER_ELEMENT)}Z` };
      return;
    case "bytes":
      yield textShape(path, "AAAA", "");
      yield textShape(`${path} with breaks`, "A\n", "");
      return;
    case "json":
      for (const element of ["f:k", 'v:"k', 'k:{"type":"k']) {
        const end = element.startsWith("f") ? "" : element.startsWith("v") ? '"' : '"}';
        yield {
          label: `${path} of ${element}`,
          value: (size) => Object.fromEntries(repeat(size, (index) => [`${element}${size - index}${end}`, {}])),
        };
      }
      return;
    case "list":
      yield { label: `${path}[] distinct`, value: (size) => repeat(size, (index) => shortValue(type.of, index)) };
      yield { label: `${path}[] equal`, value: (size) => repeat(size, () => shortValue(type.of, 0)) };
      for (const { label, value } of generateShapes(type.of, `${path}[0]`, pieces, depth + 1)) {
        yield { label, value: (size) => [value(size)] };
      }
      return;
    case "map":
      for (const prefix of ["k", "-/"]) {
        yield {
          label: `${path}{} ${prefix}`,
          value: (size) => Object.fromEntries(repeat(size, (index) => [prefix + index, shortValue(type.of, index)])),
        };
      }
      for (const piece of pieces) {
        yield {
          label: `${path}{} key of ${JSON.stringify(piece)}`,
          value: (size) => ({ [longText(piece, size) + END]: shortValue(type.of, 0) }),
        };
      }
      for (const { label, value } of generateShapes(type.of, `${path}{k}`, pieces, depth + 1)) {
        yield { label, value: (size) => ({ k: value(size) }) };
      }
      return;
    case "message":
      if (depth >= MAX_DEPTH) return;
      for (const [name, field] of Object.entries(type.fields)) {
        for (const { label, value } of generateShapes(field.type, `${path}.${name}`, pieces, depth + 1)) {
          yield { label, value: (size) => ({ [name]: value(size) }) };
        }
      }
  }
}

function textShape(label: string, piece: string, end: string): Shape {
  return { label, value: (size) => longText(piece, size) + end };
}

function longText(piece: string, size: number): string {
  return piece.repeat(Math.ceil(size * CHARS_PER_ELEMENT / piece.length));
}

/** Generates the shapes of a kind's own fields. */
function* generateKindShapes({ schema, plural }: Kind, pieces = PIECES): Generator<Shape> {
  for (const [name, { type }] of Object.entries(schema.fields)) {
    if (name === "metadata") continue;
    for (const { label, value } of generateShapes(type, `${plural}.${name}`, pieces)) {
      yield { label, value: (size) => ({ [name]: value(size) }) };
    }
  }
}

/** Generates the shapes of metadata, which all kinds have. */
function* generateMetadataShapes({ schema, plural }: Kind, pieces = PIECES): Generator<Shape> {
  const { type } = schema.fields["metadata"]!;
  for (const { label, value } of generateShapes(type, `${plural}.metadata`, pieces)) {
    yield { label, value: (size) => ({ metadata: value(size) }) };
  }
}

/** Returns a sample with some of its fields replaced. */
function overlay(base: unknown, over: unknown): unknown {
  if (!isJsonObject(base) || !isJsonObject(over)) return over;
  const merged: JsonObject = { ...base };
  for (const [key, value] of Object.entries(over)) merged[key] = overlay(base[key], value);
  return merged;
}

async function assertAllLinear<Input>(
  shapes: Iterable<Shape>,
  input: (value: unknown) => Input,
  read: (input: Input) => unknown,
): Promise<void> {
  for (const { label, value } of shapes) {
    await assertLinear({ input: (size) => input(value(size)), read, limit: MOST_ELEMENTS }).catch((error: unknown) => {
      throw new Error(label, { cause: error });
    });
  }
}

const NAME = "n1";
/** Resources whose fields merge in every possible way: as maps, as sets, by keys, as a whole. */
const MERGED = ["configmaps", "nodes", "roles.rbac.authorization.k8s.io"];
/** The resource for patches that merge all fields alike. */
const UNTYPED = ["configmaps"];
const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const APPLY = "application/apply-patch+yaml";
const JSON_PATCH = "application/json-patch+json";
const APPLIED = "?dryRun=All&fieldManager=m&force=true";
let app: TestApp;
let samples: Readonly<Record<string, readonly Sample[]>>;
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";

/** A kind that is served, with a sample object. */
interface Served {
  readonly kind: Kind;
  readonly sample: JsonObject;
  readonly path: string;
}

function listServed(): readonly Served[] {
  return Object.keys(samples).map(getServed);
}

function getServed(resource: string): Served {
  const sample = { ...samples[resource]?.[0]?.object(NAME), metadata: { name: NAME } } as unknown as JsonObject;
  const kind = ALL_KINDS.find((one) => formatApiVersion(one) === sample["apiVersion"] && one.kind === sample["kind"]);
  assert.ok(kind, resource);
  return { kind, sample, path: formatCollectionPath(kind, kind.namespaced ? "default" : "") };
}

/** The encodings other than JSON, which is tested by creating every kind. */
const ENCODINGS: readonly {
  readonly mediaType: MediaType;
  readonly encode: (kind: Kind, object: JsonObject) => Uint8Array;
}[] = [
  { mediaType: "application/yaml", encode: (_kind, object) => Buffer.from(formatYaml(object)) },
  {
    mediaType: "application/vnd.kubernetes.protobuf",
    encode: (kind, object) => encodeEnvelope(formatApiVersion(kind), kind.kind, encodeMessage(kind.schema, object)),
  },
];

/** Skips shapes that an encoding cannot express, such as invalid times and quantities in protobuf. */
function* filterEncodable(shapes: Iterable<Shape>, encode: (value: unknown) => Uint8Array): Generator<Shape> {
  for (const shape of shapes) {
    try {
      encode(shape.value(64));
    } catch {
      continue;
    }
    yield shape;
  }
}

/** Encodes a DER element with its length. */
function der(tag: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const { length } = content;
  const head = length < 0x80
    ? [tag, length]
    : length < 0x10000
    ? [tag, 0x82, length >> 8, length & 0xff]
    : [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
  return new Uint8Array(Buffer.concat([Buffer.from(head), content]));
}

describe("the time of readers of bodies", () => {
  before(async () => {
    app = await createTestApp();
    const request = await buildRequest({ subject: { commonName: "system:node:n1", organizations: ["system:nodes"] } });
    samples = createSamples({ request: () => request, stubRequest: await buildStubRequest(), certificate: "" });
  });
  after(() => app[Symbol.asyncDispose]());

  for (const { mediaType, encode } of ENCODINGS) {
    test(`a body of ${mediaType} is decoded in linear time, whatever field is long`, async () => {
      const decode = async ({ kind, sample }: Served, shapes: Iterable<Shape>) => {
        const encodeOver = (value: unknown) => encode(kind, overlay(sample, value) as JsonObject);
        const read = (bytes: Uint8Array) => decodeBody({ warnings: new Warnings() }, kind, mediaType, bytes, "Strict");
        await assertAllLinear(filterEncodable(shapes, encodeOver), encodeOver, read);
      };
      await decode(getServed("configmaps"), generateMetadataShapes(configMapKind));
      // The readers are the same for all kinds.
      for (const one of MERGED.map(getServed)) await decode(one, generateKindShapes(one.kind, UNPARSED_PIECES));
    });
  }

  test("an object is created in linear time, whatever field is long", async () => {
    const create = ({ path, sample }: Served, shapes: Iterable<Shape>) =>
      assertAllLinear(
        shapes,
        (value) => JSON.stringify(overlay(sample, value)),
        (body) => app.send("POST", `${path}?dryRun=All`, { body }),
      );
    await create(getServed("configmaps"), generateMetadataShapes(configMapKind));
    for (const served of listServed()) await create(served, generateKindShapes(served.kind));
  });

  const asIs = (_sample: JsonObject, value: unknown): unknown => value;
  const addAll = (sample: JsonObject, value: unknown): unknown =>
    Object.entries(overlay(sample, value) as JsonObject)
      .map(([name, member]) => ({ op: "add", path: `/${name}`, value: member }));
  for (
    const { contentType, query, resources, body } of [
      { contentType: MERGE, query: "?dryRun=All", resources: UNTYPED, body: asIs },
      { contentType: STRATEGIC, query: "?dryRun=All", resources: MERGED, body: asIs },
      { contentType: APPLY, query: APPLIED, resources: MERGED, body: overlay },
      { contentType: JSON_PATCH, query: "?dryRun=All", resources: UNTYPED, body: addAll },
    ]
  ) {
    test(`a patch of ${contentType} takes linear time, whatever field is long`, async () => {
      for (const { kind, path, sample } of resources.map(getServed)) {
        await app.send("POST", path, { body: sample });
        const shapes = (kind === configMapKind ? generateMetadataShapes : generateKindShapes)(kind, UNPARSED_PIECES);
        await assertAllLinear(
          shapes,
          (value) => JSON.stringify(body(sample, value)),
          (text) =>
            app.send("PATCH", `${path}/${NAME}${query}`, { body: text, headers: { "content-type": contentType } }),
        );
      }
    });
  }

  test("a small patch of a long object takes linear time", async () => {
    const long: readonly { readonly path: string; readonly object: (size: number) => JsonObject }[] = [
      {
        path: "/api/v1/namespaces/default/configmaps",
        object: (size) => ({
          apiVersion: "v1",
          kind: "ConfigMap",
          data: Object.fromEntries(repeat(size, (index) => [`k${index}`, ""])),
        }),
      },
      {
        path: "/api/v1/nodes",
        object: (size) => ({
          apiVersion: "v1",
          kind: "Node",
          spec: { taints: repeat(size, (index) => ({ key: `k${index}`, effect: "NoSchedule" })) },
        }),
      },
    ];
    for (const { path, object } of long) {
      for (const size of MEASURED) {
        const body = { ...object(size), metadata: { name: `long-${size}` } };
        const headers = { "content-type": APPLY };
        const created = await app.send("PATCH", `${path}/long-${size}?fieldManager=m`, { body, headers });
        assert.equal(created.code, 201, created.text.slice(0, 300));
      }
      for (
        const { contentType, query, body } of [
          { contentType: MERGE, query: "", body: { metadata: { labels: { a: "b" } } } },
          { contentType: STRATEGIC, query: "", body: { metadata: { labels: { a: "b" } } } },
          { contentType: APPLY, query: APPLIED, body: { ...object(0), metadata: { labels: { a: "b" } } } },
          { contentType: JSON_PATCH, query: "", body: [{ op: "add", path: "/metadata/labels", value: { a: "b" } }] },
        ]
      ) {
        await assertLinear({
          input: (size) => `${path}/long-${size}${query === "" ? "?dryRun=All" : query}`,
          read: (target) => app.send("PATCH", target, { body, headers: { "content-type": contentType } }),
          limit: MOST_ELEMENTS,
        });
      }
      for (const accept of ["application/yaml", "application/vnd.kubernetes.protobuf", TABLE]) {
        await assertLinear({
          input: (size) => `${path}/long-${size}`,
          read: (target) => app.send("GET", target, { headers: { accept } }),
          limit: MOST_ELEMENTS,
        });
      }
    }
  });

  test("an object with many managers is updated and applied in linear time", async () => {
    const entry = (index: number) => ({
      manager: `m${index}`,
      operation: "Apply",
      apiVersion: "v1",
      fieldsType: "FieldsV1",
      fieldsV1: { "f:data": { [`f:k${index}`]: {} } },
    });
    const path = "/api/v1/namespaces/default/configmaps";
    const config = { apiVersion: "v1", kind: "ConfigMap" };
    for (const size of MEASURED) {
      const data = Object.fromEntries(repeat(size, (index) => [`k${index}`, ""]));
      const metadata = { name: `managed-${size}`, managedFields: repeat(size, entry) };
      const { code, text } = await app.send("POST", path, { body: { metadata, data } });
      assert.equal(code, 201, text.slice(0, 300));
      const first = { ...config, metadata: { name: `managed-${size}` }, data: { ...data, mine: "1" } };
      const applied = await app.send("PATCH", `${path}/managed-${size}?fieldManager=m&force=true`, {
        body: first,
        headers: { "content-type": APPLY },
      });
      assert.equal(applied.code, 200, applied.text.slice(0, 300));
    }
    for (
      const { contentType, query, body } of [
        { contentType: MERGE, query: "?dryRun=All", body: { data: { k1: "x" } } },
        { contentType: APPLY, query: APPLIED, body: { ...config, data: { k1: "x" } } },
        { contentType: APPLY, query: "?dryRun=All&fieldManager=other", body: { ...config, data: { k1: "x" } } },
      ]
    ) {
      await assertLinear({
        input: (size) => `${path}/managed-${size}${query}`,
        read: (target) => app.send("PATCH", target, { body, headers: { "content-type": contentType } }),
        limit: MOST_ELEMENTS,
      });
    }
  });

  test("a certificate and a request for one are read in linear time, whatever they contain", async () => {
    const limit = 65_536;
    const begin = "-----BEGIN CERTIFICATE REQUEST-----\n";
    for (const piece of [begin, "-----END X-----\n", "-----BEGIN ", "-", "AAAA\n", "A", "\n", " ", "=", "A: b\n"]) {
      for (const before of ["", begin]) {
        const input = (size: number) => encodeBase64(`${before}${piece.repeat(Math.ceil(size / piece.length))}!`);
        await assertLinear({ input, read: parseRequest, limit });
        await assertLinear({ input, read: findCertificateFault, limit });
      }
    }
    for (const unit of ["0500", "3100", "3000", "06012a", "020100", "ff", "3080"]) {
      for (const wraps of [0, 1, 2, 3]) {
        const input = (size: number) => {
          let bytes = new Uint8Array(Buffer.from(unit.repeat(Math.ceil(size * 2 / unit.length)), "hex"));
          for (let wrap = 0; wrap < wraps; wrap++) bytes = der(0x30, bytes);
          return bytes;
        };
        await assertLinear({ input, read: parseCertificationRequest, limit });
        await assertLinear({ input, read: parseCertificate, limit });
      }
    }
  });

  test("a token file is read in linear time, whatever it contains", async () => {
    for (const piece of ["a,", '"', '"a",', "a\n", "a,b,c\n", ",", " ", '""']) {
      await assertLinear({
        input: (size) => `${piece.repeat(Math.ceil(size / piece.length))}!`,
        read: (text) => parseTokenFile(text, "tokens.csv"),
        limit: 65_536,
      });
    }
  });

  test("policies, profiles and inventories are read in linear time, however large they are", async () => {
    const head = (kind: string) => `apiVersion: tlsboot/v1alpha1\nkind: ${kind}\n`;
    const lines = (size: number, line: (index: number) => string) => repeat(Math.ceil(size / 8), line).join("");
    const rule = (index: number) =>
      `- {name: r${index}, match: {signerNames: [example.com/a]}, then: deny, require: {usages: {allowed: [any]}}}\n`;
    const names = (size: number) => JSON.stringify(repeat(size, (index) => `*.n${index}.example.com`));
    for (
      const { read, input } of [
        {
          read: parsePolicy,
          input: (size: number) => `${head("ApprovalPolicy")}name: p\nrules:\n${lines(size, rule)}`,
        },
        {
          read: parsePolicy,
          input: (size: number) =>
            `${head("ApprovalPolicy")}name: p\nrules:\n- name: r\n  match: {signerNames: [example.com/a]}\n` +
            `  then: approve\n  require:\n    subject: {commonNames: ["*"]}\n    names: {dns: ${names(size)}}\n` +
            `    usages: {allowed: [server auth]}\n`,
        },
        {
          read: parseProfile,
          input: (size: number) =>
            `${head("SigningProfile")}names: {dns: {allowed: ${names(size)}}}\n` +
            "usages: {allowed: [server auth]}\nlifetime: {max: 24h}\n",
        },
        {
          read: parseInventory,
          input: (size: number) =>
            `${head("Inventory")}nodes:\n${
              lines(size, (index) => `- {name: n${index}, dns: [n${index}.example.com]}\n`)
            }`,
        },
        {
          read: parseInventory,
          input: (size: number) =>
            lines(size, (index) => `n1,n${index}.example.com ssh-ed25519 ${SSH_VECTORS[0]?.publicKey}\n`),
        },
      ]
    ) {
      const small = read(input(1));
      assert.ok(small.ok, JSON.stringify(small));
      await assertLinear<string>({ input, read, limit: MOST_ELEMENTS });
    }
  });
});
