/** The bootstrap tokens, with their machines, their uses and the requests made with them. Secrets are never shown. */
import { deleteToken } from "../../client/admin/tokens.ts";
import { DataTable, Facts, Moment, PostForm } from "../layout.tsx";
import type { UiAction, UiContext, UiElement, UiPage } from "../page.ts";
import {
  CertificateTable,
  Commands,
  describeFoundRows,
  MachineLink,
  MissingNotes,
  RequestLink,
  takePage,
  TokenLink,
} from "../parts.tsx";
import {
  CERTIFICATES_LIVE,
  createNotFound,
  type KnownToken,
  readCertificates,
  readIfPossible,
  readTokens,
  TOKEN_WATCH,
  waitUntilShown,
} from "../sources.ts";
import { type KeptRequest, REQUESTS } from "./requests.tsx";

export const tokensPage: UiPage = {
  path: "/tokens",
  nav: "Tokens",
  live: [TOKEN_WATCH.id],
  async render(context) {
    const { query, now } = context;
    const { tokens, missing } = await readTokens(context);
    const { rows, pager } = takePage(tokens, "/tokens", query);
    return {
      title: "Bootstrap tokens",
      body: (
        <>
          <p>
            A machine proves with a token that it may request its first certificate. This page shows token ids only. A
            secret is shown once, by the command that creates the token:
          </p>
          <Commands lines={["tlsboot token create -o command"]} flags={context.flags} />
          <MissingNotes notes={[missing]} />
          <div id="token-list" data-swap>
            <DataTable
              caption={describeFoundRows(tokens.length, tokens.length, "tokens")}
              rows={rows}
              empty="There is no token."
              columns={[
                { heading: "Token", cell: ({ id }) => <TokenLink id={id} /> },
                { heading: "For", cell: (token) => <TokenScope token={token} /> },
                { heading: "Uses", cell: formatUses },
                { heading: "Created", cell: ({ createdAt }) => <Moment at={createdAt} now={now} /> },
                { heading: "Expires", cell: (token) => <End token={token} now={now} /> },
                { heading: "Last use", cell: (token) => <LastUse token={token} now={now} /> },
                { heading: "Description", cell: ({ description }) => description || "–" },
              ]}
            />
            {pager}
          </div>
        </>
      ),
    };
  },
};

/** The page of one token, also of one that no longer exists but with which machines have joined. */
export const tokenPage: UiPage = {
  path: "/tokens/:id",
  live: [TOKEN_WATCH.id, ...CERTIFICATES_LIVE, REQUESTS.id],
  async render(context) {
    const { params: { id = "" }, now } = context;
    const [{ tokens, missing }, certificates, requests] = await Promise.all([
      readTokens(context),
      readCertificates(context),
      readIfPossible(context, REQUESTS, "certificate signing requests"),
    ]);
    const token = tokens.find((one) => one.id === id);
    const rows = certificates.rows.filter(({ record }) => record.spec.requester?.tokenID === id).toReversed();
    const own = [...requests.entries.values()].filter(({ username }) => username === `system:bootstrap:${id}`);
    if (token === undefined && rows.length === 0 && own.length === 0) {
      throw createNotFound(`the token "${id}"`, "find it in the list of tokens; an expired one is deleted");
    }
    const valid = rows.filter(({ status }) => status === "valid" || status === "replaced").length;
    return {
      title: `Token ${id}`,
      body: (
        <>
          <MissingNotes notes={[missing, ...certificates.missing, requests.missing]} />
          <div id="token" data-swap>
            {token === undefined
              ? <p class="lead">The token no longer exists: it has expired, or was deleted or revoked.</p>
              : <TokenFacts token={token} now={now} />}
            <h2>Certificates requested with the token</h2>
            {own.length === 0 ? "" : <Requests requests={own} now={now} />}
            <CertificateTable
              rows={rows}
              now={now}
              caption="Certificates that were requested with the token, and renewals of them"
              empty="No certificate was issued to a holder of the token."
            />
          </div>
          {token === undefined
            ? ""
            : <TokenForms context={context} id={id} valid={valid} hasRevocations={certificates.isRegister} />}
        </>
      ),
    };
  },
};

export const deleteTokenAction: UiAction = {
  path: "/tokens/:id/delete",
  async run(context) {
    const { connection, params: { id = "" }, signal } = context;
    await deleteToken(connection.api, id, signal);
    await waitUntilShown(context, TOKEN_WATCH, (entries) => [...entries.values()].every((token) => token?.id !== id));
    return { kind: "moved", location: "/tokens", message: `Token ${id} is deleted: no machine can join with it.` };
  },
};

function TokenFacts({ token, now }: { readonly token: KnownToken; readonly now: Date }): UiElement {
  const { createdBy, createdAt, networks, usages, groups, description, lastRefusal, approves, publicKey } = token;
  return (
    <Facts
      facts={[
        ["For", <TokenScope token={token} />],
        ["Description", description],
        ["Uses", formatUses(token)],
        ["Expires", <End token={token} now={now} />],
        ["Created", <Moment at={createdAt} now={now} />],
        ["Created by", createdBy],
        ["From", networks?.join(", ") ?? "any address"],
        ["Key", publicKey],
        ["Approves its request", approves === true ? "yes" : "no"],
        ["Usages", usages.join(", ")],
        ["Groups", groups.join(", ")],
        ["Last use", <LastUse token={token} now={now} />],
        [
          "Last refusal",
          lastRefusal === undefined ? undefined : (
            <>
              <Moment at={lastRefusal.time} now={now} />
              {`${formatAddress(lastRefusal.address)}: ${lastRefusal.reason}`}
            </>
          ),
        ],
      ]}
    />
  );
}

function Requests({ requests, now }: { readonly requests: readonly KeptRequest[]; readonly now: Date }): UiElement {
  return (
    <DataTable
      caption="Requests of the token's holders that still exist"
      rows={requests}
      empty=""
      columns={[
        { heading: "State", cell: ({ state }) => <span class={`state ${state}`}>{state}</span> },
        { heading: "Request", cell: ({ name }) => <RequestLink name={name} /> },
        { heading: "For", cell: (row) => row.for },
        { heading: "Requested", cell: ({ createdAt }) => <Moment at={createdAt} now={now} /> },
      ]}
    />
  );
}

interface TokenFormsProps {
  readonly context: UiContext;
  readonly id: string;
  /** The number of valid certificates that its holders got. */
  readonly valid: number;
  readonly hasRevocations: boolean;
}

function TokenForms({ context, id, valid, hasRevocations }: TokenFormsProps): UiElement {
  const stay = valid === 0
    ? "No certificate that was requested with it is still valid."
    : `${valid === 1 ? "One certificate that was" : `${valid} certificates that were`} requested with it ${
      valid === 1 ? "stays" : "stay"
    } valid.`;
  return (
    <div class="forms">
      <section class="panel" aria-labelledby="delete">
        <h2 id="delete">Delete it</h2>
        <p>{`No machine can join with it now, and it cannot be restored. ${stay}`}</p>
        <PostForm context={context} action={`/tokens/${encodeURIComponent(id)}/delete`}>
          <button type="submit" class="danger">{`Delete token ${id}`}</button>
        </PostForm>
      </section>
      {hasRevocations
        ? (
          <section class="panel" aria-labelledby="leaked">
            <h2 id="leaked">Has it leaked?</h2>
            <p>Then also revoke what was requested with it.</p>
            <p>
              <a class="button" href={`/revoke?target=${encodeURIComponent(`token/${id}`)}&certificates=yes`}>
                Revoke token and certificates…
              </a>
            </p>
          </section>
        )
        : ""}
    </div>
  );
}

function TokenScope({ token: { kind, node } }: { readonly token: KnownToken }): UiElement {
  if (node !== undefined) {
    return (
      <span>
        machine <MachineLink name={node} />
      </span>
    );
  }
  switch (kind) {
    case "invalid":
      return <span>no one: its limits cannot be read</span>;
    case "key":
      return <span>the holder of one key</span>;
    default:
      return <span>any machine</span>;
  }
}

function formatUses({ maxKeys, boundKeys = [], usedKeys = [], isUsed }: KnownToken): string {
  if (maxKeys === undefined) return "unlimited";
  const bound = boundKeys.length === usedKeys.length ? "" : `, ${boundKeys.length} bound to a key`;
  return `${usedKeys.length} of ${maxKeys}${isUsed === true ? ", used up" : bound}`;
}

function End({ token: { expires }, now }: { readonly token: KnownToken; readonly now: Date }): UiElement {
  if (expires === undefined) return <span>never</span>;
  if (Number.isNaN(Date.parse(expires))) return <span>unreadable, so the token is refused</span>;
  return <Moment at={expires} now={now} />;
}

function LastUse({ token: { lastUse }, now }: { readonly token: KnownToken; readonly now: Date }): UiElement {
  if (lastUse === undefined) return <span>none recorded</span>;
  return (
    <span>
      <Moment at={lastUse.time} now={now} />
      {formatAddress(lastUse.address)}
    </span>
  );
}

function formatAddress(address: string): string {
  return address === "" ? "" : ` from ${address}`;
}
