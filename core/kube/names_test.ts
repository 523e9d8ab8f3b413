import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import {
  dataKeyErrors,
  dns1123LabelErrors,
  dns1123SubdomainErrors,
  labelNameErrors,
  labelValueErrors,
  pathSegmentNameErrors,
  qualifiedNameErrors,
  subdomainNameErrors,
} from "./names.ts";

const LABEL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and " +
  "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and " +
  "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
  "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must " +
  "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for " +
  "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or " +
  "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

const long = (length: number): string => "a".repeat(length);

for (
  const { check, value, want } of [
    { check: dns1123LabelErrors, value: "node-1", want: [] },
    { check: dns1123LabelErrors, value: "", want: [LABEL] },
    { check: dns1123LabelErrors, value: "Node", want: [LABEL] },
    { check: dns1123LabelErrors, value: "a.b", want: ["must not contain dots"] },
    { check: dns1123LabelErrors, value: long(64), want: ["must be no more than 63 characters"] },
    { check: dns1123SubdomainErrors, value: "a.b-c.d", want: [] },
    { check: dns1123SubdomainErrors, value: "a..b", want: [SUBDOMAIN] },
    { check: dns1123SubdomainErrors, value: "a\n", want: [SUBDOMAIN] },
    { check: dns1123SubdomainErrors, value: long(254), want: ["must be no more than 253 characters"] },
    { check: qualifiedNameErrors, value: "kubernetes.io/bootstrapping", want: [] },
    { check: qualifiedNameErrors, value: "A_b.c", want: [] },
    { check: qualifiedNameErrors, value: "", want: ["name part must be non-empty", NAME_PART] },
    { check: qualifiedNameErrors, value: "/a", want: ["prefix part must be non-empty"] },
    { check: qualifiedNameErrors, value: "A/a", want: [`prefix part ${SUBDOMAIN}`] },
    { check: qualifiedNameErrors, value: long(64), want: ["name part must be no more than 63 bytes"] },
    { check: qualifiedNameErrors, value: `${long(254)}/a`, want: ["prefix part must be no more than 253 bytes"] },
    {
      check: qualifiedNameErrors,
      value: "a/b/c",
      want: [
        NAME_PART.replace("name part", "a valid label key") +
        " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
      ],
    },
    { check: labelValueErrors, value: "", want: [] },
    { check: labelValueErrors, value: "a b", want: [VALUE] },
    { check: labelValueErrors, value: long(64), want: ["must be no more than 63 bytes"] },
    { check: dataKeyErrors, value: ".dockercfg", want: [] },
    { check: dataKeyErrors, value: "a/b", want: [KEY] },
    { check: dataKeyErrors, value: ".", want: ["must not be '.'"] },
    { check: dataKeyErrors, value: "..", want: ["must not be '..'"] },
    { check: dataKeyErrors, value: "..a", want: ["must not start with '..'"] },
    { check: pathSegmentNameErrors, value: "system:node:A b", want: [] },
    { check: pathSegmentNameErrors, value: ".", want: ["may not be '.'"] },
    { check: pathSegmentNameErrors, value: "..", want: ["may not be '..'"] },
    { check: pathSegmentNameErrors, value: "a/%", want: ["may not contain '/'", "may not contain '%'"] },
  ]
) {
  test(`${check.name}() returns ${want.length} messages for ${JSON.stringify(value.slice(0, 20))}`, () => {
    assert.deepEqual(check(value), want);
  });
}

test("subdomainNameErrors() accepts a dash at the end of a prefix, but not of a name", () => {
  assert.deepEqual(subdomainNameErrors("node-csr-", true), []);
  assert.deepEqual(subdomainNameErrors("node-csr-", false), [SUBDOMAIN]);
});

test("labelNameErrors() accepts a dash at the end of a prefix, but not of a name", () => {
  assert.deepEqual(labelNameErrors("team-", true), []);
  assert.deepEqual(labelNameErrors("team-", false), [LABEL]);
});

test("pathSegmentNameErrors() lets a prefix be two dots", () => {
  assert.deepEqual(pathSegmentNameErrors("..", true), []);
});

test("names.ts checks count bytes, not characters", () => {
  assert.deepEqual(dataKeyErrors("é".repeat(127)), ["must be no more than 253 characters", KEY]);
});

test("names.ts checks never throw", () => {
  const checks = [
    dns1123LabelErrors,
    dns1123SubdomainErrors,
    qualifiedNameErrors,
    labelValueErrors,
    dataKeyErrors,
    pathSegmentNameErrors,
  ];
  fc.assert(
    fc.property(anyText(), (value) => checks.every((check) => Array.isArray(check(value)))),
  );
});
