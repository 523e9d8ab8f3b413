import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "../../core/kube/status/status.ts";
import fc, { anyText } from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/describe_refusal.ts";
import {
  assertStreamable,
  type Convertible,
  negotiate,
  negotiateError,
  parseAccept,
  parseBodyMediaType,
  parsePatchType,
} from "./negotiation.ts";

const NONE = new URLSearchParams();
const OBJECT = { table: true, partial: true };
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";

for (
  const { accept, want, can = OBJECT } of [
    { accept: undefined, want: "application/json object" },
    { accept: "", want: "application/json object" },
    { accept: "*/*", want: "application/json object" },
    { accept: "application/yaml", want: "application/yaml object" },
    {
      accept: "application/vnd.kubernetes.protobuf,application/json",
      want: "application/vnd.kubernetes.protobuf object",
    },
    { accept: "application/json;q=0.5,application/yaml;q=0.9", want: "application/yaml object" },
    { accept: "text/html,application/json;q=0.1", want: "application/json object" },
    { accept: `${TABLE},application/json`, want: "application/json Table" },
    { accept: "application/yaml;as=Table;v=v1;g=meta.k8s.io", want: "application/yaml Table" },
    { accept: `${TABLE},application/json`, can: { ...OBJECT, table: false }, want: "application/json object" },
    {
      accept: "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
      want: "application/json object",
    },
    { accept: "application/json;as=Foo;v=v1;g=meta.k8s.io,application/json", want: "application/json object" },
    {
      accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
      want: "application/json PartialObjectMetadata",
    },
    {
      accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
      want: "application/json PartialObjectMetadataList",
    },
  ]
) {
  test(`negotiate() answers ${accept ?? "no Accept"} with ${want}${can.table ? "" : ", without Tables"}`, () => {
    const { mediaType, as } = negotiate(accept, NONE, "", can);
    assert.equal(`${mediaType} ${as}`, want);
  });
}

test("negotiate() refuses a Table for resources without one", () => {
  assert.throws(
    () => negotiate(TABLE, NONE, "", { ...OBJECT, table: false }),
    (error) =>
      error instanceof StatusError && error.status.code === 406 &&
      error.message === "only the following media types are accepted: application/json, application/yaml, " +
          "application/vnd.kubernetes.protobuf",
  );
});

test("negotiate() indents JSON for curl, and ?pretty= overrides the user agent", () => {
  const pretty = (query: string, userAgent: string) =>
    negotiate("*/*", new URLSearchParams(query), userAgent, OBJECT).pretty;
  assert.equal(pretty("", "curl/8.0"), true);
  assert.equal(pretty("", "kubectl/v1.37.2"), false);
  assert.equal(pretty("pretty=true", "kubectl/v1.37.2"), true);
  assert.equal(pretty("pretty=false", "curl/8.0"), false);
});

test("assertStreamable() refuses YAML for watches", () => {
  assertStreamable(negotiate("application/vnd.kubernetes.protobuf", NONE, "", OBJECT));
  assert.throws(
    () => assertStreamable(negotiate("application/yaml, application/json", NONE, "", OBJECT)),
    /accepted: application\/json;stream=watch, application\/vnd\.kubernetes\.protobuf;stream=watch$/,
  );
});

test("negotiate() accepts the server version of resources that have one", () => {
  const resource = { ...OBJECT, serverVersion: "v1" as const };
  const chosen = (accept: string, can: Convertible) => negotiate(`${accept},application/yaml`, NONE, "", can).mediaType;
  assert.equal(chosen("application/json;sv=v1", resource), "application/json");
  assert.equal(chosen("application/json;sv=v2", resource), "application/yaml");
  assert.equal(chosen("application/json;sv=v1", OBJECT), "application/yaml");
});

test("negotiateError() falls back to indented JSON", () => {
  assert.deepEqual(negotiateError("text/plain", NONE, ""), {
    mediaType: "application/json",
    as: "object",
    metaVersion: "v1",
    pretty: true,
  });
  assert.equal(negotiateError("application/yaml", NONE, "").mediaType, "application/yaml");
});

test("parseBodyMediaType() ignores parameters, defaults to JSON, and refuses unknown types", () => {
  assert.equal(parseBodyMediaType(undefined), "application/json");
  assert.equal(parseBodyMediaType("application/json; charset=utf-8"), "application/json");
  assert.equal(parseBodyMediaType("application/yaml"), "application/yaml");
  assert.throws(
    () => parseBodyMediaType("text/plain"),
    (error) => error instanceof StatusError && error.status.code === 415,
  );
});

test("parseAccept() sorts very many clauses by preference quickly", () => {
  const clauses = parseAccept(`${"*,".repeat(150_000)}${"a/b,".repeat(150_000)}c/d;q=2`);
  assert.equal(clauses.length, 300_001);
  assert.equal(clauses[0]?.type, "c");
  assert.equal(clauses[1]?.type, "a");
  assert.equal(clauses.at(-1)?.type, "*");
});

test("negotiation refuses with a 4xx, whatever the header", () => {
  const piece = fc.constantFrom(
    "application/json",
    "*/*",
    "*",
    ";",
    ",",
    "=",
    "q=0.5",
    "as=Table",
    "v=v1",
    "g=meta.k8s.io",
    " ",
    '"',
    "\\",
  );
  const header = fc.oneof(anyText(), fc.array(piece).map((parts) => parts.join("")));
  fc.assert(fc.property(header, fc.boolean(), (text, streaming) => {
    refusable(() => {
      const chosen = negotiate(text, NONE, text, OBJECT);
      if (streaming) assertStreamable(chosen);
    });
    refusable(() => parseBodyMediaType(text));
    refusable(() => parsePatchType(text));
    negotiateError(text, NONE, text);
  }));
});
