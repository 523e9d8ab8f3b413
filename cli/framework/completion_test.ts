import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
import { SHELLS } from "../commands/completion/flags.ts";
import { completeWords, findCompletedObjects, renderCompletionScript } from "./completion.ts";

function candidates(words: readonly string[]): readonly string[] {
  return completeWords(words, COMMAND_TABLE).split("\n").map((line) => line.split("\t")[0] ?? "");
}

for (
  const { words, want } of [
    { words: ["ap"], want: ["approve"] },
    { words: ["get", ""], want: ["csr"] },
    { words: ["token", "cr"], want: ["create"] },
    { words: ["get", "csr", "--fie"], want: ["--field-selector"] },
    { words: ["get", "csr", "-o", "js"], want: ["json", "jsonpath="] },
    { words: ["request", "--signer", "kubernetes.io/kubelet-s"], want: ["kubernetes.io/kubelet-serving"] },
    { words: ["completion", "z"], want: ["zsh"] },
    { words: ["guide", "home"], want: ["homelab"] },
    { words: ["approve", "--de"], want: ["--debug"] },
  ]
) {
  test(`completeWords() completes: tlsboot ${words.join(" ")}`, () => {
    const found = candidates(words);
    for (const word of want) assert.ok(found.includes(word), `${word} in ${found.join(" ")}`);
    assert.ok(found.includes(":4"));
  });
}

for (
  const { words, want } of [
    { words: ["revoke", ""], want: "revocable" },
    { words: ["revoke", "node/n1", "us"], want: "revocable" },
    { words: ["get", "certs", "3f"], want: "certificates" },
    { words: ["describe", "csr", ""], want: "requests" },
    { words: ["trust", "fetch", ""], want: "trustBundles" },
    { words: ["revoke", "--rea"], want: undefined },
    { words: ["get"], want: undefined },
    { words: ["inspect", ""], want: undefined },
  ]
) {
  test(`findCompletedObjects() finds ${want} for: tlsboot ${words.join(" ")}`, () => {
    assert.equal(findCompletedObjects(words, COMMAND_TABLE), want);
  });
}

test("completeWords() offers the names of objects with their descriptions", () => {
  const names = [{ name: "node/n1", description: "a machine" }, { name: "user/alice", description: "" }];
  assert.match(completeWords(["revoke", "no"], COMMAND_TABLE, names), /^node\/n1\ta machine\n:4\n$/);
});

test("completeWords() lets the shell offer files for arguments and flags that name files", () => {
  assert.equal(completeWords(["inspect", ""], COMMAND_TABLE), ":0\n");
  assert.equal(completeWords(["get", "csr", "--kubeconfig", ""], COMMAND_TABLE), ":0\n");
});

for (const shell of SHELLS) {
  test(`renderCompletionScript() renders a script for ${shell}`, () => {
    assert.match(renderCompletionScript(shell, "tlsboot"), /tlsboot complete|complete --/);
  });
}

test("renderCompletionScript() renders bash code that may be read twice", () => {
  assert.doesNotMatch(renderCompletionScript("bash", "tlsboot"), /^readonly /m);
});

test("completeWords() offers no flag that a typed flag excludes", () => {
  const answer = completeWords(["trust", "install", "--server", "https://127.0.0.1:6443", "--c"], COMMAND_TABLE);
  assert.match(answer, /^--ca-cert-hash\t/m);
  assert.doesNotMatch(answer, /^--ca-cert\t/m);
});
