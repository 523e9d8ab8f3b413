import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyRule } from "../kube/kinds/rbac_v1.ts";
import { pathRequest, resourceRequest } from "../../tests/support/test_rbac.ts";
import type { Attributes } from "./attributes.ts";
import { ruleAllows } from "./rules.ts";

const getPods: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["pods"] };
const csrs = { apiGroup: "certificates.k8s.io", resource: "certificatesigningrequests" };

const cases: readonly { name: string; rule: PolicyRule; request: Attributes; want: boolean }[] = [
  { name: "the very request", rule: getPods, request: resourceRequest(), want: true },
  { name: "another verb", rule: getPods, request: resourceRequest({ verb: "list" }), want: false },
  { name: "any verb", rule: { ...getPods, verbs: ["*"] }, request: resourceRequest({ verb: "sign" }), want: true },
  { name: "no verbs at all", rule: { ...getPods, verbs: null }, request: resourceRequest(), want: false },
  { name: "another group", rule: getPods, request: resourceRequest({ apiGroup: "apps" }), want: false },
  {
    name: "any group",
    rule: { ...getPods, apiGroups: ["*"] },
    request: resourceRequest({ apiGroup: "x" }),
    want: true,
  },
  { name: "a subresource", rule: getPods, request: resourceRequest({ subresource: "log" }), want: false },
  {
    name: "a named subresource",
    rule: { ...getPods, resources: ["pods/log"] },
    request: resourceRequest({ subresource: "log" }),
    want: true,
  },
  {
    name: "the resource of a subresource rule",
    rule: { ...getPods, resources: ["pods/log"] },
    request: resourceRequest(),
    want: false,
  },
  {
    name: "a subresource of everything",
    rule: { ...getPods, resources: ["*/status"] },
    request: resourceRequest({ subresource: "status" }),
    want: true,
  },
  {
    name: "another subresource of everything",
    rule: { ...getPods, resources: ["*/status"] },
    request: resourceRequest({ subresource: "log" }),
    want: false,
  },
  {
    name: "pods/* is not a supported form",
    rule: { ...getPods, resources: ["pods/*"] },
    request: resourceRequest({ subresource: "log" }),
    want: false,
  },
  {
    name: "any resource covers subresources",
    rule: { ...getPods, resources: ["*"] },
    request: resourceRequest({ subresource: "log" }),
    want: true,
  },
  { name: "the name", rule: { ...getPods, resourceNames: ["a"] }, request: resourceRequest({ name: "a" }), want: true },
  {
    name: "another name",
    rule: { ...getPods, resourceNames: ["a"] },
    request: resourceRequest({ name: "b" }),
    want: false,
  },
  {
    name: "a creation under a rule with names",
    rule: { ...getPods, verbs: ["create"], resourceNames: ["a"] },
    request: resourceRequest({ verb: "create" }),
    want: false,
  },
  {
    name: "a list of one name by field selector",
    rule: { ...getPods, verbs: ["list"], resourceNames: ["a"] },
    request: resourceRequest({ verb: "list", name: "a" }),
    want: true,
  },
  {
    name: "a domain name is matched literally",
    rule: { verbs: ["approve"], apiGroups: [csrs.apiGroup], resources: ["signers"], resourceNames: ["example.com/*"] },
    request: resourceRequest({ ...csrs, resource: "signers", verb: "approve", name: "example.com/a" }),
    want: false,
  },
  {
    name: "paths never decide a resource request",
    rule: { verbs: ["*"], nonResourceURLs: ["*"] },
    request: resourceRequest(),
    want: false,
  },
  {
    name: "resources never decide a path",
    rule: { ...getPods, resources: ["*"] },
    request: pathRequest("/"),
    want: false,
  },
  {
    name: "a path",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz"] },
    request: pathRequest("/healthz"),
    want: true,
  },
  {
    name: "a path below",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz"] },
    request: pathRequest("/healthz/etcd"),
    want: false,
  },
  {
    name: "a pattern",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz/*"] },
    request: pathRequest("/healthz/etcd"),
    want: true,
  },
  {
    name: "a pattern does not cover its root",
    rule: { verbs: ["get"], nonResourceURLs: ["/healthz/*"] },
    request: pathRequest("/healthz"),
    want: false,
  },
  { name: "any path", rule: { verbs: ["get"], nonResourceURLs: ["*"] }, request: pathRequest("/x"), want: true },
  {
    name: "any path, another verb",
    rule: { verbs: ["get"], nonResourceURLs: ["*"] },
    request: pathRequest("/x", "post"),
    want: false,
  },
];

for (const { name, rule, request, want } of cases) {
  test(`ruleAllows() ${want ? "allows" : "does not allow"}: ${name}`, () => {
    assert.equal(ruleAllows(request, rule), want);
  });
}
