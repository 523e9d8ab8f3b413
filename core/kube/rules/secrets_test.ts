import assert from "node:assert/strict";
import { test } from "node:test";
import { Buffer } from "node:buffer";
import type { ConfigMap, SecretObject } from "../kinds/core_v1.ts";
import { formatFieldError } from "../status/field_error.ts";
import {
  defaultSecret,
  validateConfigMapCreate,
  validateConfigMapUpdate,
  validateSecretCreate,
  validateSecretUpdate,
} from "./secrets.ts";

const MIB = 1024 * 1024;
const KEY_TEXT = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or " +
  "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const meta = { metadata: { name: "s", namespace: "n" } };
const base64 = (text: string): string => Buffer.from(text).toString("base64");

test("defaultSecret() merges stringData over data and sets the type", () => {
  const secret = defaultSecret({ ...meta, data: { b: "Yg==", a: "YQ==" }, stringData: { b: "é", c: "" } });
  assert.equal(
    JSON.stringify(secret),
    '{"metadata":{"name":"s","namespace":"n"},"data":{"a":"YQ==","b":"w6k=","c":""},"type":"Opaque"}',
  );
});

test("defaultSecret() keeps a key of stringData that every object inherits", () => {
  const stringData: Record<string, string> = JSON.parse('{"__proto__":"a","constructor":"b"}');
  const { data } = defaultSecret({ ...meta, stringData });
  assert.equal(JSON.stringify(data), '{"__proto__":"YQ==","constructor":"Yg=="}');
});

test("defaultSecret() keeps a type and omits empty data", () => {
  assert.equal(
    JSON.stringify(defaultSecret({ ...meta, immutable: true, type: "x" })),
    '{"metadata":{"name":"s","namespace":"n"},"immutable":true,"type":"x"}',
  );
});

for (
  const { name, secret, want } of [
    {
      name: "a bootstrap token",
      secret: { data: { "token-id": "YQ==" }, type: "bootstrap.kubernetes.io/token" },
      want: [],
    },
    { name: "a bad key", secret: { data: { "a/b": "" } }, want: [`data[a/b]: Invalid value: "a/b": ${KEY_TEXT}`] },
    {
      name: "a mebibyte and a byte",
      secret: { data: { a: base64("x".repeat(MIB + 1)) } },
      want: ["data: Too long: may not be more than 1048576 bytes"],
    },
    { name: "a mebibyte", secret: { data: { a: base64("x".repeat(MIB)) } }, want: [] },
    {
      name: "an account token without account",
      secret: { type: "kubernetes.io/service-account-token" },
      want: ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
    },
    {
      name: "a TLS secret without its parts",
      secret: { type: "kubernetes.io/tls" },
      want: ["data[tls.crt]: Required value", "data[tls.key]: Required value"],
    },
    {
      name: "no user and no password",
      secret: { type: "kubernetes.io/basic-auth" },
      want: ["data[username]: Required value", "data[password]: Required value"],
    },
    { name: "only a password", secret: { type: "kubernetes.io/basic-auth", data: { password: "" } }, want: [] },
    {
      name: "an empty SSH key",
      secret: { type: "kubernetes.io/ssh-auth", data: { "ssh-privatekey": "" } },
      want: ["data[ssh-privatekey]: Required value"],
    },
    {
      name: "no docker config",
      secret: { type: "kubernetes.io/dockercfg" },
      want: ["data[.dockercfg]: Required value"],
    },
    {
      name: "a docker config that is a list",
      secret: { type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": base64("[]") } },
      want: [
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go ' +
        "value of type map[string]interface {}",
      ],
    },
    {
      name: "a docker config",
      secret: { type: "kubernetes.io/dockerconfigjson", data: { ".dockerconfigjson": base64('{"auths":{}}') } },
      want: [],
    },
  ] as { name: string; secret: Partial<SecretObject>; want: string[] }[]
) {
  test(`validateSecretCreate() reports ${want.length} faults for ${name}`, () => {
    assert.deepEqual(validateSecretCreate({ ...meta, type: "Opaque", ...secret }).map(formatFieldError), want);
  });
}

const FIXED = "field is immutable when `immutable` is set";

for (
  const { name, stored, secret, want } of [
    { name: "data", stored: {}, secret: { data: { a: "" } }, want: [] },
    {
      name: "the type",
      stored: { type: "a" },
      secret: { type: "b" },
      want: ['type: Invalid value: "b": field is immutable'],
    },
    { name: "labels of an immutable one", stored: { immutable: true }, secret: { immutable: true }, want: [] },
    {
      name: "an immutable one",
      stored: { immutable: true, data: { a: "" } },
      secret: { data: {} },
      want: [`immutable: Forbidden: ${FIXED}`, `data: Forbidden: ${FIXED}`],
    },
  ] as { name: string; stored: Partial<SecretObject>; secret: Partial<SecretObject>; want: string[] }[]
) {
  test(`validateSecretUpdate() reports ${want.length} faults for changing ${name}`, () => {
    assert.deepEqual(
      validateSecretUpdate({ ...meta, type: "Opaque", ...secret }, { ...meta, type: "Opaque", ...stored }).map(
        formatFieldError,
      ),
      want,
    );
  });
}

for (
  const { name, map, want } of [
    { name: "a valid map", map: { data: { a: "b" }, binaryData: { b: "AA==" } }, want: [] },
    {
      name: "a key in both",
      map: { data: { a: "b" }, binaryData: { a: "" } },
      want: ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
    },
    {
      name: "bad keys",
      map: { data: { "": "" }, binaryData: { "..": "" } },
      want: [`data[]: Invalid value: "": ${KEY_TEXT}`, "binaryData[..]: Invalid value: \"..\": must not be '..'"],
    },
    {
      name: "too much",
      map: { data: { a: "x".repeat(MIB) }, binaryData: { b: "AA==" } },
      want: ["[]: Too long: may not be more than 1048576 bytes"],
    },
  ] as { name: string; map: Partial<ConfigMap>; want: string[] }[]
) {
  test(`validateConfigMapCreate() reports ${want.length} faults for ${name}`, () => {
    assert.deepEqual(validateConfigMapCreate({ ...meta, ...map }).map(formatFieldError), want);
  });
}

test("validateConfigMapUpdate() refuses changes of an immutable map", () => {
  const stored: ConfigMap = { ...meta, immutable: true, data: { a: "1" } };
  assert.deepEqual(validateConfigMapUpdate(stored, stored), []);
  assert.deepEqual(validateConfigMapUpdate({ ...meta, binaryData: { b: "" } }, stored).map(formatFieldError), [
    `immutable: Forbidden: ${FIXED}`,
    `data: Forbidden: ${FIXED}`,
    `binaryData: Forbidden: ${FIXED}`,
  ]);
});
