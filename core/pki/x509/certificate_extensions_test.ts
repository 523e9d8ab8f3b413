import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import {
  findDerValueFault,
  planInformationAccess,
  planPolicies,
  planRevocationLists,
} from "./certificate_extensions.ts";

// Written by hand: each SEQUENCE (30) has its length, then OIDs (06), URIs (86) and texts (16).
for (
  const { name, planned, want } of [
    {
      name: "policies, one with a page",
      planned: planPolicies([{ oid: "1.2.3" }, { oid: "1.2.4", cps: "a" }]),
      want: "301d" + "300406022a03" + "301506022a04" + "300f300d" + "06082b06010505070201" + "160161",
    },
    {
      name: "URLs of responders and of the CA's certificate",
      planned: planInformationAccess(["a"], ["b"]),
      want: "301e" + "300d06082b06010505073001860161" + "300d06082b06010505073002860162",
    },
    { name: "the URL of a list", planned: planRevocationLists(["a"]), want: "30093007a005a003860161" },
  ]
) {
  test(`plans of extensions have the bytes of RFC 5280, and are not critical: ${name}`, () => {
    assert.deepEqual([Buffer.from(planned.value).toString("hex"), planned.critical], [want, false]);
  });
}

test("findDerValueFault() requires exactly one value", () => {
  const found = ["0500", "050000", "05"].map((hex) => findDerValueFault(new Uint8Array(Buffer.from(hex, "hex"))));
  assert.deepEqual(found, [
    undefined,
    "there are bytes after the value",
    "asn1: syntax error: truncated tag or length",
  ]);
});
