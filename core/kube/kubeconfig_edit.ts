/**
 * Changes to an existing kubeconfig with the outcome of `kubectl config set-cluster | set-credentials | set-context |
 * use-context`, but with comments and unknown keys kept.
 */
import { Document, isMap, isScalar, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from "yaml";
import { Secret } from "../brand.ts";
import { err, ok, type Result } from "../result.ts";
import { findPathBelow } from "./file_path.ts";
import {
  clusterToPlain,
  contextToPlain,
  GO_YAML,
  type Kubeconfig,
  type KubeconfigCluster,
  type KubeconfigContext,
  type KubeconfigUser,
  parseKubeconfig,
  userToPlain,
} from "./kubeconfig.ts";
import type { PemSource } from "./kubeconfig_context.ts";

/** `kubectl config set-cluster`; what is absent stays as it is. */
export interface ClusterEdit {
  readonly server?: string;
  readonly tlsServerName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** Files by absolute path. */
  readonly certificateAuthority?: PemSource;
}

/** `kubectl config set-credentials`. */
export interface CredentialsEdit {
  /** Files by absolute path. */
  readonly clientCertificate?: PemSource;
  readonly clientKey?: PemSource<Secret<string>>;
  readonly token?: Secret<string>;
}

/** `kubectl config set-context`. */
export interface ContextEdit {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

/** One change. */
export type KubeconfigEdit =
  | { readonly kind: "setCluster"; readonly name: string; readonly edit: ClusterEdit }
  | { readonly kind: "setCredentials"; readonly name: string; readonly edit: CredentialsEdit }
  | { readonly kind: "setContext"; readonly name: string; readonly edit: ContextEdit }
  | { readonly kind: "useContext"; readonly name: string };

/**
 * Applies changes to the text of a kubeconfig (empty for a new one). Paths inside `baseDir`, the file's folder, are
 * written relative to it, others absolute, as kubectl does. The error is one sentence that names the path.
 */
export function editKubeconfig(
  text: string,
  edits: readonly KubeconfigEdit[],
  where: { readonly path: string; readonly baseDir: string },
): Result<string, string> {
  const original = parseKubeconfig(text, where.path);
  if (!original.ok) return original;
  const document = openDocument(text);
  for (const edit of edits) {
    // Parsed anew each time: later edits see what earlier ones made.
    const config = parseKubeconfig(document.toString(GO_YAML), where.path);
    if (!config.ok) return config;
    const fault = apply(document, edit, config.value, where.baseDir);
    if (fault !== undefined) return err(fault);
  }
  return ok(document.toString(GO_YAML));
}

/** The document, with every key that kubectl always writes. */
function openDocument(text: string): Document {
  const document: Document = parseDocument(text, { version: "1.1" });
  if (!isMap(document.contents)) document.contents = document.createNode({});
  const root = document.contents;
  for (const [key, value] of Object.entries(EMPTY)) {
    if (isMap(root) && !root.has(key)) insertSorted(document, root, key, value);
  }
  return document;
}

const EMPTY = { apiVersion: "v1", clusters: null, contexts: null, "current-context": "", kind: "Config", users: null };

function apply(document: Document, edit: KubeconfigEdit, config: Kubeconfig, baseDir: string): string | undefined {
  if (edit.name === "") return "you must specify a non-empty name";
  switch (edit.kind) {
    case "setCluster": {
      const before = config.clusters.find(({ name }) => name === edit.name)?.cluster ?? { server: "" };
      writeEntry(
        document,
        "clusters",
        "cluster",
        edit.name,
        clusterToPlain(editCluster(before, edit.edit, baseDir)),
        CLUSTER_KEYS,
      );
      return undefined;
    }
    case "setCredentials": {
      const before = config.users.find(({ name }) => name === edit.name)?.user ?? {};
      writeEntry(document, "users", "user", edit.name, userToPlain(editUser(before, edit.edit, baseDir)), USER_KEYS);
      return undefined;
    }
    case "setContext": {
      const before = config.contexts.find(({ name }) => name === edit.name)?.context ?? { cluster: "", user: "" };
      const context: KubeconfigContext = { ...before, ...edit.edit };
      writeEntry(document, "contexts", "context", edit.name, contextToPlain(context), CONTEXT_KEYS);
      return undefined;
    }
    case "useContext":
      if (!config.contexts.some(({ name }) => name === edit.name)) {
        return `no context exists with the name: "${edit.name}"`;
      }
      document.set("current-context", edit.name);
      return undefined;
  }
}

/** The keys each editor owns: those that end up empty are removed, all others are left alone. */
const CLUSTER_KEYS = [
  "certificate-authority",
  "certificate-authority-data",
  "insecure-skip-tls-verify",
  "server",
  "tls-server-name",
];
const USER_KEYS = [
  "client-certificate",
  "client-certificate-data",
  "client-key",
  "client-key-data",
  "token",
  "tokenFile",
];
const CONTEXT_KEYS = ["cluster", "namespace", "user"];

function editCluster(before: KubeconfigCluster, edit: ClusterEdit, baseDir: string): KubeconfigCluster {
  const { server, tlsServerName, insecureSkipTlsVerify, certificateAuthority: ca } = edit;
  let cluster = before;
  // A new server is not known by the old one's name.
  if (server !== undefined) cluster = { ...without(cluster, "tlsServerName"), server };
  if (tlsServerName !== undefined) cluster = { ...cluster, tlsServerName };
  if (insecureSkipTlsVerify !== undefined) {
    const kept = insecureSkipTlsVerify ? without(cluster, "certificateAuthority", "certificateAuthorityData") : cluster;
    cluster = { ...kept, insecureSkipTlsVerify };
  }
  if (ca === undefined) return cluster;
  const rest = without(cluster, "certificateAuthority", "certificateAuthorityData", "insecureSkipTlsVerify");
  return ca.kind === "pem"
    ? { ...rest, certificateAuthorityData: ca.pem }
    : { ...rest, certificateAuthority: portablePath(ca.path, baseDir) };
}

function editUser(before: KubeconfigUser, edit: CredentialsEdit, baseDir: string): KubeconfigUser {
  const { clientCertificate: certificate, clientKey: key, token } = edit;
  let user = before;
  if (certificate !== undefined) {
    const rest = without(user, "clientCertificate", "clientCertificateData");
    user = certificate.kind === "pem"
      ? { ...rest, clientCertificateData: certificate.pem }
      : { ...rest, clientCertificate: portablePath(certificate.path, baseDir) };
  }
  if (key !== undefined) {
    const rest = without(user, "clientKey", "clientKeyData");
    user = key.kind === "pem"
      ? { ...rest, clientKeyData: key.pem }
      : { ...rest, clientKey: portablePath(key.path, baseDir) };
  }
  return token === undefined ? user : { ...user, token };
}

function without<T extends object, Key extends keyof T>(object: T, ...keys: readonly Key[]): Omit<T, Key> {
  const rest = { ...object };
  for (const key of keys) delete rest[key];
  return rest;
}

function portablePath(path: string, baseDir: string): string {
  return findPathBelow(baseDir, path) ?? path;
}

function writeEntry(
  document: Document,
  list: string,
  member: string,
  name: string,
  plain: Readonly<Record<string, unknown>>,
  ownKeys: readonly string[],
): void {
  const entry = findEntry(document, list, name) ?? addEntry(document, list, member, name);
  let fields = entry.get(member);
  if (!isMap(fields)) {
    entry.set(member, document.createNode({}));
    fields = entry.get(member);
  }
  if (!isMap(fields)) return;
  for (const key of ownKeys) {
    if (plain[key] === undefined) fields.delete(key);
    else if (fields.has(key)) fields.set(key, plain[key]);
    else insertSorted(document, fields, key, plain[key]);
  }
}

function findEntry(document: Document, list: string, name: string): YAMLMap | undefined {
  const entries = document.get(list);
  if (!isSeq(entries)) return undefined;
  return entries.items.find((item): item is YAMLMap => isMap(item) && item.get("name") === name);
}

/** A new entry where kubectl, which sorts by name, would have it. */
function addEntry(document: Document, list: string, member: string, name: string): YAMLMap {
  let entries = document.get(list);
  if (!isSeq(entries)) {
    document.set(list, document.createNode([]));
    entries = document.get(list);
  }
  const entry = document.createNode(member < "name" ? { [member]: {}, name } : { name, [member]: {} });
  const { items } = entries as YAMLSeq; // just made, if it was not there
  if (items.length === 0) (entries as YAMLSeq).flow = false;
  const at = items.findIndex((item) => isMap(item) && String(item.get("name")) > name);
  items.splice(at < 0 ? items.length : at, 0, entry);
  return entry;
}

function insertSorted(document: Document, map: YAMLMap, key: string, value: unknown): void {
  const at = map.items.findIndex((pair) => String(isScalar(pair.key) ? pair.key.value : pair.key) > key);
  map.items.splice(at < 0 ? map.items.length : at, 0, document.createPair(key, value));
}
