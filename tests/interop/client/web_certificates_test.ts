/**
 * Runs the guide about web servers unchanged: curl and Chromium trust the page, and the trust stores of Debian, RHEL,
 * Firefox, browsers and Java get the CA. The shell has copies of the host's stores, in its own mount namespace.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { start } from "../../support/child.ts";
import { startBrowser } from "../../support/browser.ts";
import { readGuide, toScript } from "../../support/guide.ts";
import { createShell } from "../../support/interop/shell.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";

/** Gives the shell its own trust stores, with the folders of Firefox and RHEL; p11-kit reads the anchors as on RHEL. */
const NAMESPACE = `set -e
mount --make-rprivate /
cp -a /etc ../etc; cp -a /usr/local/share ../share
mount --bind ../etc /etc; mount --bind ../share /usr/local/share
mkdir -p /etc/firefox/policies /etc/pki/ca-trust/source/anchors /etc/pki/ca-trust/extracted/pem /etc/pkcs11/modules
printf '%s' '{"policies":{"DisableTelemetry":true}}' > /etc/firefox/policies/policies.json
grep -v '^x-init-reserved' /usr/share/p11-kit/modules/p11-kit-trust.module > /etc/pkcs11/modules/p11-kit-trust.module
echo "x-init-reserved: paths='/etc/pki/ca-trust/source'" >> /etc/pkcs11/modules/p11-kit-trust.module`;

const COMMANDS: Readonly<Record<string, string>> = {
  sudo: `exec "$@"`,
  // RHEL's script writes the TLS bundle with this command.
  "update-ca-trust": "exec trust extract --format=pem-bundle --filter=ca-anchors --purpose=server-auth --overwrite " +
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  systemctl: "exec nginx -c $PWD/nginx.conf -p $PWD -s reload",
};

function nginxConfig(port: number): string {
  return `pid nginx.pid; error_log error.log; events {}
http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
server { listen 127.0.0.1:${port} ssl; ssl_certificate nas.home.lan/tls.crt; ssl_certificate_key nas.home.lan/tls.key;
  location / { default_type text/html; return 200 "<h1>trusted</h1>"; } } }`;
}

test("web_server: three commands make a page that curl and Chromium trust, and the CA is added to and removed from every store", async () => {
  await using folder = await createTempFolder();
  await createShell(folder);
  const [web, api] = [await findServerPort(), await findServerPort()];
  for (const [name, command] of Object.entries(COMMANDS)) {
    await writeFile(folder.join("bin", name), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  }
  await writeFile(folder.join("work", "nginx.conf"), nginxConfig(web));
  await writeFile(
    folder.join("home", ".curlrc"),
    `connect-to = nas.home.lan:443:127.0.0.1:${web}\nsilent\nshow-error\n`,
  );
  const [install = "", page = "", ...rest] = (await readGuide("web_server")).blocks;
  const checks = `
echo "stores: $(tlsboot trust show)"
grep -c "$(sed -n 2p nas.home.lan/ca.crt)" /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/ssl/certs/ca-certificates.crt
cat /etc/firefox/policies/policies.json
keytool -list -cacerts -storepass changeit 2>/dev/null | grep -o '^tlsboot-[0-9a-f]*'
keytool -list -keystore nas.p12 -storetype PKCS12 -storepass "$(cat password)" | grep PrivateKeyEntry
mkdir db; certutil -N -d sql:db --empty-password; pk12util -i nas.p12 -d sql:db -K '' -W "$(cat password)"
tlsboot trust install > again; tlsboot trust show --print | openssl x509 -noout -subject
hash=$(tlsboot ca show | grep -o 'sha256:[0-9a-f]*' | head -1)
tlsboot trust show --print --server https://127.0.0.1:${api} --ca-cert-hash $hash | cmp - home-ca.crt
! tlsboot trust show --print --server https://127.0.0.1:${api} --ca-cert-hash sha256:${"0".repeat(64)} 2> wrong
grep -q 'which was not given' wrong
echo READY; eventually '[ -e go ]'
tlsboot trust uninstall
! curl --head https://nas.home.lan/ 2> untrusted; cat untrusted
tlsboot trust show; cat /etc/firefox/policies/policies.json; nginx -c $PWD/nginx.conf -p $PWD -s stop; echo DONE`;
  const script = toScript([install, `nginx -c $PWD/nginx.conf -p $PWD`, page, ...rest, checks], api);
  await writeFile(folder.join("work", "script.sh"), `${NAMESPACE}\n${script}`);
  await using typed = start("unshare", ["--mount", "bash", "script.sh"], {
    cwd: folder.join("work"),
    env: { PATH: `${folder.join("bin")}:${process.env["PATH"] ?? ""}`, HOME: folder.join("home"), KUBECONFIG: "" },
  });
  const early = typed.finished().then(({ code, stdout, stderr }) => {
    if (!stdout.includes("DONE")) throw new Error(`${code}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`);
    return stdout;
  });
  await Promise.race([typed.waitFor(/^READY$/m), early]);

  await using browser = await startBrowser({
    hosts: { "nas.home.lan": `127.0.0.1:${web}` },
    home: folder.join("home"),
  });
  const { page: shown } = await browser.openPage();
  await shown.goto("https://nas.home.lan/");
  assert.equal(await shown.evaluate("document.querySelector('h1').textContent"), "trusted");

  await writeFile(folder.join("work", "go"), "");
  const out = await early;
  assert.match(out, /^HTTP\/1\.1 200 OK/m);
  for (const store of ["debian", "rhel", "firefox", "nss", "java"]) {
    assert.match(out, new RegExp(`^(?:stores: )?${store}: trusts it`, "m"));
    assert.match(out, new RegExp(`^${store}: removed`, "m"));
    assert.match(out, new RegExp(`^${store}: does not have it`, "m"));
  }
  assert.match(out, /tls-ca-bundle\.pem:1\n.*ca-certificates\.crt:1/);
  assert.match(
    out,
    /"DisableTelemetry": true,\n[^]*"Install": \[\n\s+"\/etc\/firefox\/policies\/tlsboot-[0-9a-f]{16}\.crt"/,
  );
  assert.match(out, /PrivateKeyEntry/);
  assert.match(out, /PKCS12 IMPORT SUCCESSFUL/);
  const unit = await readFile(folder.join("work", "tlsboot-nas.service"), "utf8");
  assert.match(unit, /--exec "systemctl reload nginx" --out \S+ --rotate-certificates$/m);
});
