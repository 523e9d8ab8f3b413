import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFieldError } from "../kube/status/field_error.ts";
import { parseSignerName, validateSignerName } from "./signer_name.ts";

const SUBDOMAIN_253 = `${"a".repeat(61)}.`.repeat(4) + "abcde";
const SHAPE = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and " +
  "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start " +
  "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

for (
  const { name, value, want } of [
    { name: "absent", value: "", want: ["Required value"] },
    { name: "no slash", value: "an-invalid-signer-name", want: [`Invalid value: "an-invalid-signer-name": ${SHAPE}`] },
    {
      name: "two slashes",
      value: "an-invalid-signer-name.com/something/else",
      want: [`Invalid value: "an-invalid-signer-name.com/something/else": ${SHAPE}`],
    },
    {
      name: "domain of one label",
      value: "example/some-signer-name",
      want: ['Invalid value: "example": should be a domain with at least two segments separated by dots'],
    },
    { name: "empty path", value: "example.com/", want: [`Invalid value: "": validating label "": ${SUBDOMAIN}`] },
    {
      name: "path with a dash at the end",
      value: "example.com/something-",
      want: [`Invalid value: "something-": validating label "something-": ${SUBDOMAIN}`],
    },
    {
      name: "path that is a dash",
      value: "example.com/-",
      want: [`Invalid value: "-": validating label "-": ${SUBDOMAIN}`],
    },
    {
      name: "upper case in the domain",
      value: "Example.com/x",
      want: [`Invalid value: "Example.com": validating label "Example": ${LABEL}`],
    },
    { name: "well-formed", value: "example.com/some-signer-name", want: [] },
    { name: "571 bytes", value: `${SUBDOMAIN_253}/${"b".repeat(63)}.${"c".repeat(253)}`, want: [] },
    {
      name: "more than 571 bytes",
      value: `${SUBDOMAIN_253}/${"b".repeat(63)}.${"c".repeat(253)}.toolong`,
      want: ["Too long: may not be more than 571 bytes"],
    },
    {
      name: "domain of more than 253 bytes",
      value: `${SUBDOMAIN_253}.extra/valid-path`,
      want: ["Too long: may not be more than 253 bytes"],
    },
    { name: "long path after a short domain", value: `abc.io/${"a".repeat(253)}.${"a".repeat(253)}`, want: [] },
    {
      name: "domain label of 66 bytes",
      value: `${"a".repeat(66)}.example.io/valid-path`,
      want: [
        `Invalid value: "${"a".repeat(66)}.example.io": validating label "${
          "a".repeat(66)
        }": must be no more than 63 characters`,
      ],
    },
  ]
) {
  test(`validateSignerName() answers for: ${name}`, () => {
    const found = validateSignerName("spec.signerName", value).map(formatFieldError);
    assert.deepEqual(found, want.map((text) => `spec.signerName: ${text}`));
  });
}

test("parseSignerName() returns a well-formed name, and describes the expected form of others", () => {
  assert.deepEqual(parseSignerName("example.com/pods"), { ok: true, value: "example.com/pods" });
  for (const text of ["", "pods", "example.com/a/b"]) {
    assert.deepEqual(parseSignerName(text), { ok: false, error: "want domain/path, such as example.com/pods" });
  }
});
