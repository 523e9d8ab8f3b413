import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "../../core/kube/status/status.ts";
import { resourceRequest, testUser } from "../../tests/support/test_rbac.ts";
import type { Attributes } from "../../core/rbac/attributes.ts";
import { fakeAuthorizer } from "../../tests/support/test_authz.ts";
import { createImpersonation, findImpersonationHeaders } from "./impersonation.ts";

type Headers = readonly (readonly [string, string])[];

const admin = testUser("admin", "system:authenticated");
const request = resourceRequest({ verb: "list" });

/** Formats attributes as `verb resource/subresource.group name namespace`, without empty parts. */
function describe(attributes: Attributes): string {
  if (attributes.kind === "path") return `${attributes.verb} ${attributes.path}`;
  const { verb, apiGroup, resource, subresource, name, namespace } = attributes;
  const target = subresource === "" ? resource : `${resource}/${subresource}`;
  return [verb, apiGroup === "" ? target : `${target}.${apiGroup}`, name, namespace].filter((part) => part !== "").join(
    " ",
  );
}

async function resolve(headers: Headers, allows: (text: string) => boolean) {
  const authorizer = fakeAuthorizer((asked) => allows(describe(asked)));
  try {
    const user = await createImpersonation(authorizer)(headers, admin, request);
    return { asked: authorizer.asked.map(describe), user };
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return { asked: authorizer.asked.map(describe), error: `${error.status.code} ${error.message}` };
  }
}

const yes = () => true;
const classic = (text: string) => text.startsWith("impersonate ");
const name = (value: string) => ["Impersonate-User", value] as const;
const group = (value: string) => ["Impersonate-Group", value] as const;

test("createImpersonation() returns the real user without headers", async () => {
  assert.deepEqual(await resolve([["Accept", "x"]], () => false), { asked: [], user: admin });
});

for (
  const { title, headers, want } of [
    { title: "a user", headers: [name("bob")], want: { groups: ["system:authenticated"] } },
    {
      title: "groups, one with a comma",
      headers: [name("bob"), group("a,b"), group("c")],
      want: { groups: ["a,b", "c", "system:authenticated"] },
    },
    {
      title: "an unauthenticated user",
      headers: [name("bob"), group("system:unauthenticated")],
      want: { groups: ["system:unauthenticated"] },
    },
    { title: "anonymous", headers: [name("system:anonymous")], want: { groups: ["system:unauthenticated"] } },
    {
      title: "anonymous with a group",
      headers: [name("system:anonymous"), group("system:authenticated")],
      want: { groups: ["system:authenticated", "system:unauthenticated"] },
    },
    {
      title: "a service account",
      headers: [name("system:serviceaccount:kube-system:cleaner")],
      want: { groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"] },
    },
    {
      title: "a service account with a group",
      headers: [name("system:serviceaccount:kube-system:cleaner"), group("g")],
      want: { groups: ["g", "system:authenticated"] },
    },
    {
      title: "a node in the classic mode, without the group of nodes",
      headers: [name("system:node:n1")],
      want: { groups: ["system:authenticated"] },
    },
    {
      title: "uid and extra",
      headers: [
        name("bob"),
        ["impersonate-uid", "7"],
        ["Impersonate-Extra-Example.com%2fScopes", "a"],
        ["impersonate-extra-example.com%2Fscopes", "b"],
        ["impersonate-extra-__proto__", "c"],
      ],
      want: { uid: "7", groups: ["system:authenticated"] },
    },
  ] as readonly { title: string; headers: Headers; want: { uid?: string; groups: readonly string[] } }[]
) {
  test(`createImpersonation() becomes ${title}`, async () => {
    const { user } = await resolve(headers, classic);
    assert.deepEqual([user?.uid, user?.groups], [want.uid ?? "", want.groups]);
  });
}

test("createImpersonation() checks every value with the classic verb", async () => {
  const { asked, user } = await resolve(
    [name("bob"), group("g"), ["Impersonate-Uid", "7"], ["Impersonate-Extra-A%2fb", "x"], [
      "Impersonate-Extra-A%2fb",
      "y",
    ]],
    classic,
  );
  assert.deepEqual(asked.filter(classic), [
    "impersonate users bob",
    "impersonate uids.authentication.k8s.io 7",
    "impersonate groups g",
    "impersonate userextras/a/b.authentication.k8s.io x",
    "impersonate userextras/a/b.authentication.k8s.io y",
  ]);
  assert.deepEqual(user?.extra, { "a/b": ["x", "y"] });
});

test("createImpersonation() checks service accounts in their namespace", async () => {
  const { asked } = await resolve([name("system:serviceaccount:ns:sa")], classic);
  assert.deepEqual(asked.filter(classic), ["impersonate serviceaccounts sa ns"]);
});

test("createImpersonation() first tries the mode that last succeeded for the user name", async () => {
  const authorizer = fakeAuthorizer((asked) => classic(describe(asked)) && !describe(asked).endsWith(" dave"));
  const impersonate = createImpersonation(authorizer);
  await impersonate([name("bob")], admin, request);
  await assert.rejects(impersonate([name("dave")], admin, request), {
    message: 'users "dave" is forbidden: User "admin" cannot impersonate resource "users" in API group "" at the ' +
      "cluster scope",
  });
  await assert.rejects(impersonate([name("dave")], testUser("other"), request), /impersonate-on:user-info:list/);
});

for (
  const { title, headers, want } of [
    {
      title: "a group",
      headers: [group("g")],
      want: 'Groups:[]string{"g"}, Extra:map[string][]string(nil)}',
    },
    {
      title: "a uid and an extra",
      headers: [["Impersonate-Uid", "7"], ["Impersonate-Extra-b", "1"], ["Impersonate-Extra-a", "2"]],
      want: 'UID:"7", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"2"}, "b":[]string{"1"}}}',
    },
    {
      title: "extras in order",
      headers: ["a", "b", "c"].map((key) => [`Impersonate-Extra-${key}`, "1"]),
      want: 'Extra:map[string][]string{"a":[]string{"1"}, "b":[]string{"1"}, "c":[]string{"1"}}}',
    },
  ] as readonly { title: string; headers: Headers; want: string }[]
) {
  test(`createImpersonation() refuses ${title} without a user`, async () => {
    const { error } = await resolve(headers, yes);
    assert.ok(error?.startsWith('400 requested &user.DefaultInfo{Name:""'), error);
    assert.ok(error?.endsWith(`${want} without impersonating a user name`), error);
  });
}

test("createImpersonation() tries the constrained mode first, for the impersonated request", async () => {
  const { asked, user } = await resolve([name("bob"), group("g")], yes);
  assert.deepEqual(asked, [
    "impersonate-on:user-info:list pods",
    "impersonate:user-info users.authentication.k8s.io bob",
    "impersonate:user-info groups.authentication.k8s.io g",
  ]);
  assert.deepEqual(user?.groups, ["g", "system:authenticated"]);
});

test("createImpersonation() adds the group of nodes to a node in the constrained mode", async () => {
  const { asked, user } = await resolve([name("system:node:n1")], yes);
  assert.deepEqual(asked, [
    "impersonate-on:arbitrary-node:list pods",
    "impersonate:arbitrary-node nodes.authentication.k8s.io n1",
  ]);
  assert.deepEqual(user?.groups, ["system:nodes", "system:authenticated"]);
});

test("createImpersonation() falls back to the classic verb", async () => {
  const { asked, user } = await resolve([name("bob")], classic);
  assert.deepEqual(asked, ["impersonate-on:user-info:list pods", "impersonate users bob"]);
  assert.equal(user?.username, "bob");
});

test("createImpersonation() reports the refusal of the first mode when every mode refuses", async () => {
  const { error } = await resolve([name("bob")], () => false);
  assert.equal(
    error,
    '403 pods is forbidden: User "admin" cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope',
  );
});

test("createImpersonation() has no constrained mode for nodes and service accounts with groups", async () => {
  for (const username of ["system:node:n1", "system:serviceaccount:ns:sa"]) {
    const { asked } = await resolve([name(username), group("g")], classic);
    assert.ok(asked.every((text) => text.startsWith("impersonate ")), asked.join("; "));
  }
});

test("createImpersonation() refuses system:masters in the constrained mode", async () => {
  const allows = (text: string) => !classic(text);
  const { error } = await resolve([name("bob"), group("system:masters")], allows);
  assert.equal(
    error,
    '403 groups.authentication.k8s.io "system:masters" is forbidden: User "admin" cannot impersonate:user-info resource ' +
      '"groups" in API group "authentication.k8s.io" at the cluster scope: impersonating the system:masters group is not allowed',
  );
});

test("createImpersonation() runs one check for many groups when all are allowed", async () => {
  const groups = ["a", "b", "c", "d"].map(group);
  const { asked } = await resolve([name("bob"), ...groups], yes);
  assert.equal(asked.at(-1), "impersonate:user-info groups.authentication.k8s.io *");
});

for (
  const { key, value = "v", want } of [
    { key: "example.com/scopes" },
    {
      key: "b",
      want: 'impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "b": must be a ' +
        'domain-prefixed path (such as "acme.io/foo")',
    },
    {
      key: "example.com/a b",
      want:
        'impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "a b": Invalid path (regex ' +
        "used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
    },
    { key: "", want: "impersonating the empty string key in extra is not allowed" },
    {
      key: "/a",
      want: 'impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "/a": must be a ' +
        'domain-prefixed path (such as "acme.io/foo")',
    },
    {
      key: "example.com/",
      want:
        'impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "example.com/": must be a ' +
        'domain-prefixed path (such as "acme.io/foo")',
    },
    { key: "example.com/a", value: "", want: "impersonating the empty string value in extra is not allowed" },
  ] as readonly { key: string; value?: string; want?: string }[]
) {
  test(`createImpersonation() ${want === undefined ? "accepts" : "refuses"} the extra "${key}" = "${value}" in the constrained mode`, async () => {
    const headers: Headers = [name("bob"), [`Impersonate-Extra-${encodeURIComponent(key)}`, value]];
    const { error } = await resolve(headers, (text) => !classic(text));
    assert.equal(error?.replace(/^.* at the cluster scope: /, ""), want);
  });
}

for (
  const { title, username, want } of [
    { title: "a user", username: "bob", want: "user-info" },
    { title: "a node", username: "system:node:n1", want: "arbitrary-node" },
    { title: "a node name in capitals, which is a plain user", username: "system:node:N1", want: "user-info" },
    { title: "a node without a name, which is a plain user", username: "system:node:", want: "user-info" },
    { title: "a service account", username: "system:serviceaccount:ns:sa", want: "serviceaccount" },
    { title: "a name that ends like a node's", username: "administrator", want: "user-info" },
    { title: "a name that ends like an account's", username: "system-serviceaccount:ns:sa", want: "user-info" },
    { title: "an account with a bad namespace", username: "system:serviceaccount:N S:sa", want: "user-info" },
    { title: "an account with a bad name", username: "system:serviceaccount:ns:S A", want: "user-info" },
    { title: "an account with an extra part", username: "system:serviceaccount:ns:sa:x", want: "user-info" },
  ]
) {
  test(`createImpersonation() uses the mode ${want} for ${title}`, async () => {
    const { asked } = await resolve([name(username)], yes);
    assert.equal(asked[0], `impersonate-on:${want}:list pods`);
  });
}

test("createImpersonation() reports the constrained mode that it used, and no other", async () => {
  for (const { allows, want } of [{ allows: yes, want: ["impersonate:user-info"] }, { allows: classic, want: [] }]) {
    const seen: string[] = [];
    const authorizer = fakeAuthorizer((asked) => allows(describe(asked)));
    await createImpersonation(authorizer)([name("bob")], admin, request, (mode) => seen.push(mode));
    assert.deepEqual(seen, want);
  }
});

test("createImpersonation() tries the other modes once after the one that last succeeded", async () => {
  let allows = classic;
  const authorizer = fakeAuthorizer((asked) => allows(describe(asked)));
  const impersonate = createImpersonation(authorizer);
  await impersonate([name("bob")], admin, request);
  allows = () => false;
  const before = authorizer.asked.length;
  await assert.rejects(impersonate([name("bob")], admin, request));
  assert.deepEqual(authorizer.asked.slice(before).map(describe), [
    "impersonate users bob",
    "impersonate-on:user-info:list pods",
  ]);
});

test("createImpersonation() does not first try a mode that does not fit the impersonated user", async () => {
  let allows: (text: string) => boolean = yes;
  const authorizer = fakeAuthorizer((asked) => allows(describe(asked)));
  const impersonate = createImpersonation(authorizer);
  await impersonate([name("bob")], admin, request);
  allows = classic;
  const before = authorizer.asked.length;
  await impersonate([name("system:node:n1")], admin, request);
  assert.equal(describe(authorizer.asked[before]!), "impersonate-on:arbitrary-node:list pods");
});

test("createImpersonation() drops the mode of the user who impersonated least recently", async () => {
  const authorizer = fakeAuthorizer((asked) => classic(describe(asked)));
  const impersonate = createImpersonation(authorizer);
  const firstAsked = async (requester: string) => {
    const before = authorizer.asked.length;
    await impersonate([name("bob")], testUser(requester), request);
    return describe(authorizer.asked[before]!);
  };
  const [remembered, fresh] = ["impersonate users bob", "impersonate-on:user-info:list pods"];
  for (let index = 0; index < 10_000; index++) assert.equal(await firstAsked(`u${index}`), fresh);
  assert.equal(await firstAsked("u0"), remembered);
  await firstAsked("one more");
  assert.equal(await firstAsked("u0"), remembered);
  assert.equal(await firstAsked("u1"), fresh);
});

for (const count of [1, 4]) {
  test(`createImpersonation() checks each of ${count} groups and extras when not all names are allowed`, async () => {
    const values = Array.from({ length: count }, (_, index) => `v${index}`);
    const headers = values.flatMap((value): Headers => [group(value), ["Impersonate-Extra-a.io%2fb", value]]);
    const allows = (text: string) => !classic(text) && !text.endsWith(" *");
    const { asked, error } = await resolve([name("bob"), ...headers], allows);
    assert.equal(error, undefined);
    for (const value of values) {
      assert.ok(asked.includes(`impersonate:user-info groups.authentication.k8s.io ${value}`));
      assert.ok(asked.includes(`impersonate:user-info userextras/a.io/b.authentication.k8s.io ${value}`));
    }
    for (const what of ["groups", "userextras"]) {
      const refused = (text: string) => allows(text) && !(text.includes(what) && text.endsWith(" v0"));
      assert.match((await resolve([name("bob"), ...headers], refused)).error ?? "", /^403 .*"v0" is forbidden/);
    }
  });
}

test("createImpersonation() runs one check for four extras, and none for three", async () => {
  const extras = ["w", "x", "y", "z"].map((value) => ["Impersonate-Extra-a.io%2fb", value] as const);
  const wildcard = "impersonate:user-info userextras/*.authentication.k8s.io *";
  assert.equal((await resolve([name("bob"), ...extras], yes)).asked.at(-1), wildcard);
  assert.equal((await resolve([name("bob"), ...extras.slice(1)], yes)).asked.includes(wildcard), false);
});

test("createImpersonation() refuses the empty group in the constrained mode only", async () => {
  const headers = [name("bob"), group("")];
  const { error } = await resolve(headers, (text) => !classic(text));
  assert.match(error ?? "", /: impersonating the empty string group is not allowed$/);
  assert.equal((await resolve(headers, classic)).error, undefined);
});

test("createImpersonation() lets the classic verb impersonate system:masters and any extra", async () => {
  const { user } = await resolve([name("bob"), group("system:masters"), ["Impersonate-Extra-b", ""]], classic);
  assert.deepEqual(user?.groups, ["system:masters", "system:authenticated"]);
  assert.deepEqual(user?.extra, { b: [""] });
});

for (
  const { key, want } of [
    { key: "a.io%2f%41", want: /: impersonating a non-lowercase key in extra is not allowed: "a\.io\/A"$/ },
    { key: "-%2f%20", want: /: \[extra\.key: Invalid value: "-": .*, extra\.key: Invalid value: " ": .*\]$/ },
  ]
) {
  test(`createImpersonation() refuses the escaped key ${key} in the constrained mode`, async () => {
    const headers: Headers = [name("bob"), [`Impersonate-Extra-${key}`, "v"]];
    assert.match((await resolve(headers, (text) => !classic(text))).error ?? "", want);
  });
}

test("findImpersonationHeaders() finds all repetitions and nothing else", () => {
  const raw = ["Accept", "impersonate-user", "Impersonate-Group", "a,b", "impersonate-GROUP", "c", "Impersonate-User"];
  assert.deepEqual(findImpersonationHeaders(raw), [["impersonate-group", "a,b"], ["impersonate-group", "c"]]);
});
