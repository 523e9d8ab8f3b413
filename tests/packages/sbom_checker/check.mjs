// Checks the document on stdin against CycloneDX's JSON schema, including its SPDX identifiers, and prints the errors.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";

// A checkout does not have these packages, so an import would not resolve there.
const require = createRequire(`${process.cwd()}/`);
const { default: Ajv } = require("ajv");
const { default: addFormats } = require("ajv-formats");
const addMoreFormats = require("ajv-formats-draft2019");

const schema = (name) =>
  JSON.parse(readFileSync(`node_modules/@cyclonedx/cyclonedx-library/res/schema/${name}.SNAPSHOT.schema.json`, "utf8"));
const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
addMoreFormats(ajv);
for (const name of ["spdx", "jsf-0.82"]) {
  ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
}
const validate = ajv.compile(schema("bom-1.6"));
validate(JSON.parse(readFileSync(0, "utf8")));
for (const { instancePath, message } of validate.errors ?? []) process.stdout.write(`${instancePath}: ${message}\n`);
