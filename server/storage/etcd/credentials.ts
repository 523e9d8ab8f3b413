/**
 * TLS credentials for one member of an etcd. Those of the gRPC library send an IP address as the server name, which TLS
 * does not allow (RFC 6066 section 3): Deno refuses it, and Node will. The address is still checked against the certificate.
 */
import { withoutBrackets } from "../../../core/lib/ip_address.ts";
import { isIP, type Socket } from "node:net";
import { connect, type SecureContext } from "node:tls";
import { ChannelCredentials, credentials } from "@grpc/grpc-js";

type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/** Credentials for the member at a host, which its certificate must name. */
export class EtcdCredentials extends ChannelCredentials {
  readonly #host: string;
  readonly #secureContext: SecureContext;

  /** `host` is as in a URL: an IPv6 address is in brackets. */
  constructor(host: string, secureContext: SecureContext) {
    super();
    this.#host = withoutBrackets(host);
    this.#secureContext = secureContext;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): Connector {
    return {
      connect: (socket) => this.#connect(socket),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => credentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  #connect(socket: Socket): ReturnType<Connector["connect"]> {
    const host = this.#host;
    return new Promise((resolve, reject) => {
      const secured = connect({
        socket,
        secureContext: this.#secureContext,
        host,
        ALPNProtocols: ["h2"],
        ...(isIP(host) === 0 ? { servername: host } : {}),
      }, () => resolve({ socket: secured, secure: true }));
      secured.on("error", reject);
    });
  }
}
