import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Buffer } from "node:buffer";
import { findCompactedRevision } from "../../tests/support/stored_things.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";
import fc, { anyText } from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/describe_refusal.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import { parseFieldSelector, parseLabelSelector } from "../../core/kube/selectors.ts";
import { configMaps } from "./secrets.ts";
import { encodeContinue, isSelected, listObjects, parseContinue, waitForRevision } from "./read.ts";
import type { RegistryDeps, Target } from "./registry.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
let app: TestApp;

describe("a read", () => {
  before(async () => {
    app = await createTestApp();
    for (
      const [name, signer, labels] of [
        ["csr-1", "example.com/signer-name-1", { a: "b", n: "1" }],
        ["csr-2", "example.com/signer-name-2", { a: "b", n: "2" }],
        ["csr-3", "example.com/signer-name-2", { a: "c", n: "3" }],
      ] as const
    ) {
      const body = await buildCsr({ name, metadata: { name, labels }, signerName: signer, expirationSeconds: 3600 });
      assert.equal((await app.send("POST", CSRS, { body })).code, 201);
    }
  });
  after(() => app[Symbol.asyncDispose]());

  test("isSelected() parses no object for a selection by name, or without any condition", () => {
    const stored = {
      key: "/registry/configmaps/default/csr-1",
      revision: 1,
      bytes: new Uint8Array(),
      size: 0,
      get object(): never {
        throw new Error("parsed");
      },
    };
    const select = (fields: string, labels = "") => {
      const [ofFields, ofLabels] = [parseFieldSelector(fields), parseLabelSelector(labels)];
      assert.ok(ofFields.ok && ofLabels.ok);
      return isSelected(configMaps, stored, { fields: ofFields.value, labels: ofLabels.value });
    };
    assert.equal(select(""), true);
    assert.equal(select("metadata.name=csr-1"), true);
    assert.equal(select("metadata.name=csr"), false);
    assert.throws(() => select("metadata.namespace=default"), /parsed/);
    assert.throws(() => select("", "a=b"), /parsed/);
  });

  test("list is sorted, its items have no kind, its revision is the store's", async () => {
    const list = await app.send("GET", CSRS);
    assert.equal(list.code, 200);
    assert.equal(list.at("kind"), "CertificateSigningRequestList");
    assert.equal(list.at("apiVersion"), "certificates.k8s.io/v1");
    assert.deepEqual(list.names(), ["csr-1", "csr-2", "csr-3"]);
    assert.equal(list.at("items/0/kind"), undefined);
    assert.equal(list.at("metadata/resourceVersion"), String(app.storage.revision()));
    const empty = await app.send("GET", "/apis/coordination.k8s.io/v1/leases");
    assert.deepEqual(empty.at("items"), []);
    assert.equal(empty.at("metadata/resourceVersion"), String(app.storage.revision()));
  });

  // Lists and selectors: apimachinery `pkg/labels/selector.go` and `pkg/fields/selector.go`.
  for (
    const [query, want] of [
      ["fieldSelector=spec.signerName%3Dexample.com/signer-name-1", ["csr-1"]],
      ["fieldSelector=spec.signerName%3D%3Dexample.com/signer-name-2", ["csr-2", "csr-3"]],
      ["fieldSelector=spec.signerName!%3Dexample.com/signer-name-2", ["csr-1"]],
      ["fieldSelector=metadata.name%3Dcsr-2", ["csr-2"]],
      ["fieldSelector=metadata.name%3Dcsr-2,spec.signerName%3Dother", []],
      ["fieldSelector=metadata.name!%3Dcsr-2", ["csr-1", "csr-3"]],
      ["labelSelector=a%3Db", ["csr-1", "csr-2"]],
      ["labelSelector=a!%3Db", ["csr-3"]],
      ["labelSelector=n in (1,3)", ["csr-1", "csr-3"]],
      ["labelSelector=n notin (1,3)", ["csr-2"]],
      ["labelSelector=a,!zz", ["csr-1", "csr-2", "csr-3"]],
      ["labelSelector=a%3Db&fieldSelector=spec.signerName%3Dexample.com/signer-name-2", ["csr-2"]],
      ["labelSelector=a%3Db&limit=1", ["csr-1"]],
    ] as const
  ) {
    test(`list with ${decodeURIComponent(query)} selects ${want.length}`, async () => {
      assert.deepEqual((await app.send("GET", `${CSRS}?${query}`)).names(), [...want]);
    });
  }

  // The answers are those of a real kube-apiserver 1.37.2.
  const CONTINUE = "invalid continue token: continue key is not valid: ";
  const OPTIONS = 'ListOptions.meta.k8s.io "" is invalid: ';
  for (
    const [query, code, message] of [
      ["limit=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'],
      ["limit=1&continue=abc", 400, `${CONTINUE}invalid character 'i' looking for beginning of value`],
      ["continue=e30", 400, `${CONTINUE}server does not recognize this encoded version `],
      [
        "resourceVersion=x",
        400,
        'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
      ],
      [
        "resourceVersion=0&resourceVersionMatch=Exact",
        422,
        `${OPTIONS}resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`,
      ],
      [
        "resourceVersionMatch=Exact",
        422,
        `${OPTIONS}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided`,
      ],
      [
        "resourceVersion=1&resourceVersionMatch=foo",
        422,
        `${OPTIONS}resourceVersionMatch: Unsupported value: "foo": supported values: "Exact", "NotOlderThan", ""`,
      ],
      [
        "sendInitialEvents=true",
        422,
        `${OPTIONS}sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list`,
      ],
      ["fieldSelector=foo", 400, "invalid selector: 'foo'; can't understand 'foo'"],
      ["fieldSelector=foo%3Dbar", 400, "field label not supported: foo"],
      ["timeout=x", 400, 'invalid timeout specified in the request URL - time: invalid duration "x"'],
    ] as const
  ) {
    test(`list refuses ${query} with ${code}`, async () => {
      const answer = await app.send("GET", `${CSRS}?${query}`);
      assert.equal(answer.code, code);
      assert.equal(answer.at("message"), message);
    });
  }

  test("paging stays at one revision during writes", async () => {
    await using paged = await createTestApp();
    const add = async (name: string) => {
      const created = await paged.send("POST", CSRS, { body: await buildCsr({ name }) });
      assert.equal(created.code, 201);
    };
    for (const name of ["a", "b", "c", "d", "e"]) await add(name);
    const first = await paged.send("GET", `${CSRS}?limit=2`);
    assert.deepEqual(first.names(), ["a", "b"]);
    assert.equal(first.at("metadata/remainingItemCount"), 3);
    await add("bb");
    await paged.send("DELETE", `${CSRS}/c`);
    const second = await paged.send("GET", `${CSRS}?limit=2&continue=${first.at("metadata/continue")}`);
    assert.deepEqual(second.names(), ["c", "d"]);
    assert.equal(second.at("metadata/resourceVersion"), first.at("metadata/resourceVersion"));
    const last = await paged.send("GET", `${CSRS}?limit=2&continue=${second.at("metadata/continue")}`);
    assert.deepEqual(last.names(), ["e"]);
    assert.equal(last.at("metadata/continue"), undefined);
    assert.equal(last.at("metadata/remainingItemCount"), undefined);
    const exact = await paged.send(
      "GET",
      `${CSRS}?resourceVersion=${first.at("metadata/resourceVersion")}&resourceVersionMatch=Exact`,
    );
    assert.deepEqual(exact.names(), ["a", "b", "c", "d", "e"]);
    const newest = await paged.send("GET", `${CSRS}?resourceVersion=${first.at("metadata/resourceVersion")}`);
    assert.deepEqual(newest.names(), ["a", "b", "bb", "d", "e"]);
    const mixed = await paged.send("GET", `${CSRS}?resourceVersion=5&continue=${first.at("metadata/continue")}`);
    assert.equal(mixed.at("message"), "specifying resource version is not allowed when using continue");
  });

  test("a continue token of compacted history is 410 with a token to continue with", async () => {
    const clock = createFakeClock();
    const storage = createMemoryStorage({ clock });
    await using old = await createTestApp({ storage, clock });
    for (const name of ["a", "b", "c"]) await old.send("POST", CSRS, { body: await buildCsr({ name }) });
    const first = await old.send("GET", `${CSRS}?limit=1`);
    const version = String(first.at("metadata/resourceVersion"));
    await clock.advance(20 * 60_000);
    await old.send("POST", CSRS, { body: await buildCsr({ name: "d" }) });
    await clock.advance(20 * 60_000);
    await old.send("POST", CSRS, { body: await buildCsr({ name: "e" }) });
    assert.ok(findCompactedRevision(storage) > Number(version));
    const expired = await old.send("GET", `${CSRS}?limit=1&continue=${first.at("metadata/continue")}`);
    assert.equal(expired.code, 410);
    assert.equal(expired.at("reason"), "Expired");
    assert.match(
      String(expired.at("message")),
      /^The provided continue parameter is too old to display a consistent list/,
    );
    const resumed = await old.send("GET", `${CSRS}?continue=${expired.at("metadata/continue")}`);
    assert.deepEqual(resumed.names(), ["b", "c", "d", "e"]);
    assert.equal((await old.send("GET", `${CSRS}?resourceVersion=${version}&resourceVersionMatch=Exact`)).code, 410);
    const watch = await old.send("GET", `${CSRS}?watch=1&resourceVersion=${version}`);
    assert.equal(watch.code, 200);
    assert.equal(watch.at("type"), "ERROR");
    assert.equal(watch.at("object/code"), 410);
    assert.equal(watch.at("object/reason"), "Expired");
    assert.match(String(watch.at("object/message")), /^too old resource version: \d+ \(\d+\)$/);
  });

  test("get and list wait three seconds for a future revision, then answer 504", async () => {
    await using ahead = await createTestApp();
    const future = ahead.storage.revision() + 100;
    for (const path of [`${CSRS}/x?resourceVersion=${future}`, `${CSRS}?resourceVersion=${future}`]) {
      const waiting = ahead.send("GET", path);
      await ahead.clock.advance(4_000);
      const answer = await waiting;
      assert.equal(answer.code, 504);
      assert.equal(answer.at("reason"), "Timeout");
      assert.equal(answer.headers.get("retry-after"), "1");
      assert.equal(answer.at("details/causes/0/reason"), "ResourceVersionTooLarge");
      assert.match(String(answer.at("message")), /^Timeout: Too large resource version: \d+, current: \d+$/);
    }
    const malformed = await ahead.send("GET", `${CSRS}/x?resourceVersion=x`);
    assert.equal(malformed.code, 500);
    assert.equal(malformed.at("reason"), undefined);
  });

  test("a read at a revision of another server waits until the store has it", async () => {
    const clock = createFakeClock();
    let revision = 7;
    const storage = { revision: () => revision, catchUp: async () => void (revision = 9) };
    const deps = { storage, clock } as unknown as RegistryDeps;
    const waiting = waitForRevision(deps, 9, () => new AbortController().signal);
    await clock.advance(50);
    await waiting;
    const late = waitForRevision(deps, 10, () => new AbortController().signal);
    const refused = assert.rejects(late, /Too large resource version: 10, current: 9/);
    await clock.advance(3_000);
    await refused;
  });

  test("listObjects() of one name returns the object and the revision at the same moment", async () => {
    const key = "/registry/configmaps/default/a";
    const stored = { key, revision: 7, object: { metadata: { name: "a" } }, bytes: new Uint8Array(), size: 0 };
    let newest = stored;
    // A write of another server arrives during the read.
    const catchUp = (): Promise<void> => Promise.resolve().then(() => void (newest = { ...stored, revision: 9 }));
    const storage = {
      revision: () => newest.revision,
      catchUp,
      getKnown: () => newest,
      get: () => catchUp().then(() => newest),
    };
    const deps = { storage } as unknown as RegistryDeps;
    const target = { resource: configMaps, namespace: "default", name: "" } as Target;
    const [labels, fields] = [parseLabelSelector(""), parseFieldSelector("metadata.name=a")];
    assert.ok(labels.ok && fields.ok);
    const query = { limit: 0, continueToken: "", resourceVersion: "", resourceVersionMatch: "" };
    const selection = { labels: labels.value, fields: fields.value };
    const { items, revision } = await listObjects(deps, target, { ...query, ...selection }, () => AbortSignal.abort());
    assert.deepEqual([items[0]?.revision, revision], [9, 9]);
  });

  test("get answers a Table row, partial metadata and YAML", async () => {
    const table = await app.send("GET", `${CSRS}/csr-1`, { headers: TABLE });
    assert.deepEqual(
      (table.at("columnDefinitions") as { name: string }[]).map(({ name }) => name),
      ["Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"],
    );
    assert.deepEqual(table.at("rows/0/cells"), ["csr-1", "0s", "example.com/signer-name-1", "admin", "60m", "Pending"]);
    assert.equal(table.at("rows/0/object/kind"), "PartialObjectMetadata");
    assert.equal(table.at("metadata/resourceVersion"), table.at("rows/0/object/metadata/resourceVersion"));
    const none = await app.send("GET", `${CSRS}?includeObject=None`, { headers: TABLE });
    assert.equal(none.at("rows/0/object"), null);
    assert.equal((none.at("rows") as unknown[]).length, 3);
    const whole = await app.send("GET", `${CSRS}?includeObject=Object`, { headers: TABLE });
    assert.equal(whole.at("rows/2/object/spec/signerName"), "example.com/signer-name-2");
    const refused = await app.send("GET", `${CSRS}?includeObject=x`, { headers: TABLE });
    assert.equal(refused.code, 400);
    const approval = await app.send("GET", `${CSRS}/csr-1/approval`, { headers: TABLE });
    assert.equal(approval.at("kind"), "CertificateSigningRequest");
    const partial = { accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io" };
    const metadata = await app.send("GET", `${CSRS}/csr-1`, { headers: partial });
    assert.deepEqual(Object.keys(JSON.parse(metadata.text)), ["kind", "apiVersion", "metadata"]);
    const list = { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" };
    const partials = await app.send("GET", CSRS, { headers: list });
    assert.equal(partials.at("kind"), "PartialObjectMetadataList");
    assert.equal(partials.at("items/0/kind"), "PartialObjectMetadata");
    assert.equal((await app.send("GET", CSRS, { headers: partial })).code, 406);
    const yaml = await app.send("GET", `${CSRS}/csr-1`, { headers: { accept: "application/yaml" } });
    assert.equal(yaml.headers.get("content-type"), "application/yaml");
    assert.match(yaml.text, /^apiVersion: certificates\.k8s\.io\/v1\nkind: CertificateSigningRequest\nmetadata:\n/);
  });
});

const INVALID = "invalid continue token: continue key is not valid";
const VERSION = `${INVALID}: server does not recognize this encoded version `;
const TYPE = `${INVALID}: json: cannot unmarshal`;

function encodeToken(json: string): string {
  return Buffer.from(json).toString("base64url");
}

for (
  const [json, message] of [
    ['{"v":"x"}', `${VERSION}x`],
    ['{"v":{"toString":1}}', `${TYPE} object into Go struct field continueToken.v of type string`],
    [
      `{"v":${"[".repeat(9000)}${"]".repeat(9000)}}`,
      `${TYPE} array into Go struct field continueToken.v of type string`,
    ],
    ["[]", `${TYPE} array into Go value of type storage.continueToken`],
    ["null", VERSION],
    ['{"rv":1.5}', `${TYPE} number 1.5 into Go struct field continueToken.rv of type int64`],
    ['{"V":"meta.k8s.io/v1","RV":0}', `${INVALID}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)`],
    ['{"v":"meta.k8s.io/v1","rv":7}', `${INVALID}: encoded start key empty (version meta.k8s.io/v1)`],
    ['{"v":"meta.k8s.io/v1","rv":7,"start":"/../x"}', `${INVALID}: /../x`],
  ] as const
) {
  test(`parseContinue() refuses ${json.slice(0, 30)}`, () => {
    assert.throws(() => parseContinue(encodeToken(json)), { message });
  });
}

test("parseContinue() refuses text that is not base64", () => {
  const message = `${INVALID}: illegal base64 data at input byte 0`;
  for (const text of ["x", "!!!"]) assert.throws(() => parseContinue(text), { message });
});

test("parseContinue() reads the output of encodeContinue()", () => {
  const key = fc.array(fc.stringMatching(/^[a-z0-9.:-]+$/).filter((part) => !/^\.+$/.test(part)), { minLength: 1 });
  fc.assert(
    fc.property(fc.integer().filter((revision) => revision !== 0), key, fc.boolean(), (revision, parts, rooted) => {
      const token = { revision, start: `${parts.join("/")}\u0000` };
      assert.deepEqual(parseContinue(encodeContinue(token, { rooted })), token);
    }),
  );
});

test("parseContinue() refuses with a 4xx, whatever the token", () => {
  fc.assert(fc.property(fc.oneof(anyText(), fc.json().map(encodeToken)), (text) => {
    refusable(() => parseContinue(text));
  }));
});
