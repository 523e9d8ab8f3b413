/** Checks in every source file the import rules and what the single-file build needs. */
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { readSources, type SourceText } from "./support/sources.ts";

const ROOMS = ["core", "controllers", "server", "client", "instance", "ui", "cli"] as const;
type Room = typeof ROOMS[number];

/** Which rooms a room may import; each may import itself. */
const MAY_IMPORT: Readonly<Record<Room, readonly Room[]>> = {
  core: [],
  controllers: ["core"],
  server: ["core"],
  client: ["core"],
  instance: ["core", "controllers", "server", "client"],
  ui: ["core", "client"],
  cli: ["core", "controllers", "server", "client", "instance", "ui"],
};

/**
 * The files of a folder that other rooms may import; `.` is the room itself. In a folder that is not listed, such as
 * `client/admin` or `controllers/upkeep`, every file is a door.
 */
const DOORS: Readonly<Partial<Record<Room, Readonly<Record<string, readonly string[]>>>>> = {
  client: {
    objects: ["access_reviews", "api", "object_store", "read_client_trust", "trust_bundles", "watch_events"],
    transport: ["connect", "time_limit", "tls_transport"],
    certificate: ["credential_store", "pair_folder", "submit_request"],
    health: ["examine", "files", "machine"],
  },
  controllers: {
    ".": ["mod"],
    engine: ["leader_election", "loop"],
    approver: [],
    signer: ["ca_provider", "profile_provider"],
  },
  // Types come from `mod`; a value comes from its own file, so that a command loads no more than it uses.
  server: {
    ".": ["mod", "server", "bootstrap_objects"],
    admission: [],
    authn: [],
    authz: [],
    connections: ["listener"],
    flowcontrol: [],
    http: ["audit", "published_documents", "snapshot"],
    metrics: ["certificates", "controllers", "registry", "storage"],
    register: ["name_claims", "register", "upkeep"],
    registry: ["mod"],
    revocation: ["record_marks", "revocations"],
    storage: ["follow", "snapshot_lines", "storage"],
    "storage/memory": [],
    "storage/sqlite": ["check", "sqlite_storage"],
    "storage/etcd": ["contents", "prefix", "restore", "snapshot", "storage"],
  },
  instance: {
    ".": [
      "attestor",
      "data_dir",
      "deps",
      "feature_gates",
      "formats",
      "full_instance",
      "instance",
      "instance_rbac",
      "joining",
      "memory_instance",
      "named_files",
      "notifications",
      "quiet_heap",
      "settings",
    ],
    storage: ["etcd"],
    parts: ["crl_files", "parts"],
    controllers: [
      "controllers",
      "policy_files",
      "run_approver",
      "signer_cas",
      "signer_profiles",
    ],
    authority: [
      "ca_swap",
      "cluster_places",
      "files",
      "imported",
      "instance_authorities",
      "issue_pair",
      "issued_log",
      "keys",
      "layout",
      "next_ca",
      "rotation_record",
    ],
    backup: [
      "archive",
      "encryption",
      "found_backups",
      "manifest",
      "restore_backup",
      "source",
      "write_backup",
    ],
  },
};

/**
 * The folders and files of each room, lowest first: each may import only itself, its own line and the lines above. A
 * listed file does not count as part of its folder.
 */
const ORDER: Readonly<Partial<Record<Room, readonly (readonly string[])[]>>> = {
  core: [
    ["version"],
    ["lib"],
    ["errors"],
    ["kube"],
    ["ports"],
    ["pki"],
    ["service_accounts"],
    ["request"],
    ["register"],
    ["rbac"],
    ["signing"],
    ["machine"],
    ["token"],
    ["attestation"],
    ["approval"],
    ["audit"],
    ["offline"],
    ["revocation"],
    ["ca_rotation"],
    ["report"],
    ["mod"],
  ],
  client: [
    ["files", "private_file", "keep_fresh", "host_facts"],
    ["transport"],
    ["objects"],
    ["certificate", "admin"],
    ["node_kubeconfig", "certificate_manager", "discover_cluster", "request_certificate"],
    ["bootstrap", "serving", "node_trust", "attestation"],
    ["offline_bootstrap", "keep_machine_fresh", "web_server", "health"],
    ["mod"],
  ],
  controllers: [["engine"], ["approver"], ["signer"], ["upkeep"], ["mod"]],
  server: [
    ["http2_sessions"],
    ["storage"],
    ["metrics/registry", "authn/authentication", "authz"],
    ["registry"],
    ["bootstrap_objects", "register"],
    ["authn/bootstrap_tokens", "revocation"],
    ["admission", "attestation"],
    ["authn/node_recovery"],
    ["authn"],
    ["http/limits", "http/request_info"],
    ["flowcontrol"],
    ["http"],
    ["metrics"],
    ["connections", "log_limiter"],
    ["app"],
    ["loopback"],
    ["server"],
    ["mod"],
  ],
  instance: [
    ["feature_gates", "named_files", "quiet_heap", "authority/layout"],
    ["data_dir", "settings"],
    ["authority", "formats"],
    ["deps"],
    ["storage"],
    ["backup"],
    ["instance_rbac"],
    ["controllers"],
    ["parts"],
    ["instance", "joining"],
    ["attestor", "notifications", "memory_instance"],
    ["full_instance"],
  ],
};

interface Source extends SourceText {
  readonly room: Room | "root";
  /** The text, with its comments replaced by blanks. */
  readonly code: string;
  readonly imports: readonly string[];
}

const sources: readonly Source[] = readSources(
  [...ROOMS.map((room) => `${room}/**/*.{ts,tsx}`), "mod.ts"],
  /_test\.ts$|\/_test_|testdata/,
).map(({ path, text }) => {
  const first = path.split("/")[0] as Room;
  const code = withoutComments(text);
  return { path, room: ROOMS.includes(first) ? first : "root" as const, text, code, imports: findImports(code) };
});

test("architecture: rooms import only rooms below them, and controllers, server and client not each other", () => {
  for (const { path, room, imports } of sources) {
    if (room === "root") continue;
    for (const specifier of imports.filter((name) => name.startsWith("."))) {
      const file = normalize(join(dirname(path), specifier));
      const target = file.split("/")[0] as Room;
      assert.ok(
        target === room || MAY_IMPORT[room].includes(target),
        `${path} imports ${specifier}: ${room} may import ${["itself", ...MAY_IMPORT[room]].join(", ")} only`,
      );
    }
  }
});

test("architecture: imports have no cycles, not even through types or import()", () => {
  const graph = new Map(sources.map((source) => [source.path, listTargets(source)]));
  for (const path of graph.keys()) {
    const cycle = findCycle(graph, path);
    assert.equal(cycle, undefined, `import cycle: ${cycle?.join(" → ")}`);
  }
});

test("architecture: the folders of a room import each other in one direction only", () => {
  for (const source of sources) {
    const order = source.room === "root" ? undefined : ORDER[source.room];
    if (order === undefined) continue;
    const own = findRank(order, source.path);
    for (const target of listTargets(source).filter((path) => path.startsWith(`${source.room}/`))) {
      const before = order.slice(0, own + 1).flat().join(", ");
      assert.ok(findRank(order, target) <= own, `${source.path} imports ${target}: it may import ${before} only`);
    }
  }
});

test("architecture: the other rooms enter a room through its doors", () => {
  const used = new Set<string>();
  for (const source of sources) {
    for (const target of listTargets(source)) {
      const [, room = "", folder = ".", file = ""] = /^(\w+)\/(?:([\w/]+)\/)?(\w+)\.tsx?$/.exec(target) ?? [];
      const doors = room === source.room ? undefined : DOORS[room as Room]?.[folder];
      if (doors === undefined) continue;
      assert.ok(doors.includes(file), `${source.path} imports ${target}`);
      used.add(`${room}/${folder}/${file}`);
    }
  }
  for (const [room, folders] of Object.entries(DOORS)) {
    for (const [folder, files] of Object.entries(folders)) {
      for (const file of files) {
        assert.ok(
          used.has(`${room}/${folder}/${file}`),
          `${room}/${folder}/${file} is listed as a door, but no other room imports it`,
        );
      }
    }
  }
});

test("architecture: a command imports no other command", () => {
  const family = (path: string): string | undefined => /^cli\/commands\/([^/]+)\//.exec(path)?.[1];
  for (const source of sources) {
    const own = family(source.path);
    for (const target of own === undefined ? [] : listTargets(source)) {
      assert.ok([undefined, own].includes(family(target)), `${source.path} imports ${target}`);
    }
  }
});

test("architecture: an exported name is unique", () => {
  const places = new Map<string, string>();
  for (const { path, code } of sources) {
    for (const name of listDeclaredExports(code)) {
      // Every command exports `run`, which is only loaded dynamically.
      if (name === "run" && path.startsWith("cli/")) continue;
      const other = places.get(name);
      assert.equal(other, undefined, `${other} and ${path} both export ${name}`);
      places.set(name, path);
    }
  }
});

test("architecture: @peculiar/x509 and its polyfill stay in core/pki", () => {
  for (const { path, imports } of sources) {
    const foreign = imports.filter((name) => name === "@peculiar/x509" || name === "reflect-metadata");
    assert.ok(foreign.length === 0 || path.startsWith("core/pki/"), `${path} imports ${foreign.join(", ")}`);
  }
});

test("architecture: Hono stays in server and ui, @bomb.sh/tab in cli/framework", () => {
  for (const { path, imports } of sources) {
    for (const name of imports) {
      if (/^(hono|@hono\/)/.test(name)) assert.match(path, /^(server|ui)\//, `${path} imports ${name}`);
      if (name === "@bomb.sh/tab") {
        assert.ok(path.startsWith("cli/framework/"), `${path} imports ${name}`);
      }
    }
  }
});

test("architecture: only ui has JSX, and only the commands that start the page import it", () => {
  const starters = /^cli\/(?:open_ui\.ts$|commands\/(?:ui|demo)\/)/;
  for (const source of sources) {
    if (source.path.endsWith(".tsx")) {
      assert.match(source.path, /^ui\//, `${source.path} has JSX outside of the page`);
    }
    if (source.path.startsWith("ui/") || starters.test(source.path)) continue;
    const target = listTargets(source).find((path) => path.startsWith("ui/"));
    assert.equal(target, undefined, `${source.path} imports ${target}`);
  }
});

test("architecture: the libraries for age, Shamir, QR and YAML are each imported in one place", () => {
  for (const { path, imports } of sources) {
    for (const name of imports) {
      assert.notEqual(name, "yaml", `${path} imports yaml: core/lib/yaml reads and prints YAML`);
      if (name === "js-yaml") assert.equal(path, "core/lib/yaml/tree.ts", `${path} imports ${name}`);
      if (name === "shamir-secret-sharing") {
        assert.equal(path, "cli/passphrases/secret_shares.ts", `${path} imports ${name}`);
      }
      if (name === "qr") assert.equal(path, "cli/offline_files.ts", `${path} imports ${name}`);
      if (name === "age-encryption") assert.match(path, /^instance\/backup\//, `${path} imports ${name}`);
    }
  }
});

test("architecture: core does no I/O", () => {
  // node:net is for isIP only, node:zlib for bytes in memory.
  const allowed = new Set(["node:crypto", "node:buffer", "node:net", "node:zlib"]);
  for (const { path, room, imports } of sources) {
    if (room !== "core") continue;
    for (const name of imports.filter((specifier) => specifier.startsWith("node:"))) {
      assert.ok(allowed.has(name), `${path} imports ${name}: core decides, and the other rooms do the I/O`);
    }
  }
});

test("architecture: clock, randomness, console and process are handed in", () => {
  const forbidden = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bconsole\.|\bprocess\./;
  for (const { path, room, code } of sources) {
    if (["cli", "instance", "root"].includes(room)) continue;
    const line = code.split("\n").findIndex((candidate) => forbidden.test(candidate));
    assert.equal(line, -1, `${path}:${line + 1} bypasses its ports`);
  }
});

test("architecture: every module fits into the single file", () => {
  for (const { path, code } of sources) {
    assert.ok(!/\bimport\.meta\b/.test(code), `${path} uses import.meta`);
    assert.ok(!/^(?:const|let|var)?[^\n=]*=?\s*await\s/m.test(toTopLevel(code)), `${path} awaits at top level`);
    assert.ok(!/\bDeno\.(?!customInspect)/.test(code), `${path} uses a Deno API, which Node lacks`);
    assert.ok(!/\bimport\s*\(\s*[^"'\s]/.test(code), `${path} imports a computed path, which no bundler can follow`);
    assert.ok(
      !/^(?:import|export)\b[^;]*\bwith\s*\{/m.test(code),
      `${path} imports text or JSON: write the data as a module`,
    );
    assert.ok(!/\bnew (?:Shared)?Worker\(/.test(code), `${path} starts a worker, whose module no bundle contains`);
  }
});

test("architecture: only erasable TypeScript, so that Node runs the sources", () => {
  for (const { path, code } of sources) {
    assert.ok(!/^\s*(?:export\s+)?(?:const\s+)?enum\s/m.test(code), `${path} declares an enum`);
    assert.ok(!/^\s*(?:export\s+|declare\s+)?namespace\s+[\w$.]+\s*\{/m.test(code), `${path} declares a namespace`);
  }
});

function findImports(code: string): readonly string[] {
  const statements = code.matchAll(
    /(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+)["']([^"']+)["']/gm,
  );
  return [...statements].map(([, specifier]) => specifier!);
}

/** Lists the files that a file imports, types and `import()` included. */
function listTargets({ path, imports }: Source): readonly string[] {
  return imports.filter((name) => name.startsWith(".")).map((name) => normalize(join(dirname(path), name)));
}

/** Finds the shortest import cycle through a file. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>, start: string): readonly string[] | undefined {
  const paths = new Map<string, readonly string[]>([[start, [start]]]);
  // A map iterates in insertion order, including entries that are added meanwhile.
  for (const [path, route] of paths) {
    for (const target of graph.get(path) ?? []) {
      if (target === start) return [...route, start];
      if (!paths.has(target)) paths.set(target, [...route, target]);
    }
  }
  return undefined;
}

/** Returns the index of the line of `ORDER` that lists a file, or else its folder. */
function findRank(order: readonly (readonly string[])[], path: string): number {
  const [, file = "", folder = ""] = /^\w+\/((\w+).*)\.tsx?$/.exec(path) ?? [];
  const rank = (name: string): number => order.findIndex((line) => line.includes(name));
  const found = rank(file) < 0 ? rank(folder) : rank(file);
  assert.ok(found >= 0, `${path} is not in ORDER of this test`);
  return found;
}

/** Lists the names that a file declares and exports, without its re-exports. */
function listDeclaredExports(code: string): ReadonlySet<string> {
  const declarations = code.matchAll(
    /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type) (\w+)/gm,
  );
  return new Set([...declarations].map(([, name]) => name!));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (block) => block.replace(/[^\n]/g, " ")).replace(/^\s*\/\/.*$/gm, "");
}

/** Returns the lines that are not indented: the module's own statements. */
function toTopLevel(code: string): string {
  return code.split("\n").filter((line) => /^\S/.test(line)).join("\n");
}
