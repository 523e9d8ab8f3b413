local KUBELET = 'kubernetes.io/kube-apiserver-client-kubelet|kubernetes.io/kubelet-serving';

{
  local config = $._config,
  local alert(name, severity, expr, summary, description, pending='') = {
    alert: name,
    expr: std.strReplace(expr, '$tlsboot', config.tlsbootSelector),
    [if pending != '' then 'for']: pending,
    labels: { severity: severity },
    annotations: {
      summary: summary,
      description: description,
      runbook: 'tlsboot guide monitoring',
    },
  },

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'tlsboot',
        rules: [
          alert(
            'TlsbootDown',
            'critical',
            'up{$tlsboot} == 0',
            'A process of tlsboot does not answer.',
            '{{ $labels.instance }} does not answer to Prometheus.',
            '2m',
          ),
          alert(
            'TlsbootRequestsNotApproved',
            'info',
            'tlsboot_waiting_requests{$tlsboot, waits_for="approval", at_least="1h"} > 0',
            'Requests wait for an approval.',
            '{{ $value }} requests have been waiting for an approval for more than an hour.',
            '5m',
          ),
          alert(
            'TlsbootRequestsNotSigned',
            'critical',
            'tlsboot_waiting_requests{$tlsboot, waits_for="signature", at_least="5m"} > 0',
            'Approved requests get no certificate.',
            '{{ $value }} approved requests have had no certificate for more than five minutes.',
            '5m',
          ),
          alert(
            'TlsbootNameClaimed',
            'warning',
            'increase(tlsboot_held_requests_total{$tlsboot, reason="NameClaimed"}[1h]) > 0',
            'A machine asks for the name of another one.',
            'A machine asks {{ $labels.instance }} for the name of a node that has a valid certificate.',
          ),
          alert(
            'TlsbootRevokedCredentialUsed',
            'warning',
            'increase(tlsboot_revoked_credentials_refused_total{$tlsboot}[1h]) > 0',
            'A revoked credential is used.',
            '{{ $labels.instance }} refused a credential whose {{ $labels.kind }} is revoked.',
          ),
          alert(
            'TlsbootProofRefused',
            'warning',
            'increase(tlsboot_node_attestations_total{$tlsboot, kind!="",' +
            ' result=~"malformed|state|proof|inventory"}[1h]) > 0',
            'The proof of a machine is refused.',
            '{{ $labels.instance }} refused a proof by {{ $labels.kind }}, with the reason {{ $labels.result }}.',
          ),
          alert(
            'TlsbootAuthenticationFailures',
            'info',
            'rate(authentication_attempts{$tlsboot, result="error"}[5m]) > 1',
            'Clients send invalid credentials.',
            '{{ $labels.instance }} gets invalid credentials {{ $value | humanize }} times a second.',
            '10m',
          ),
          alert(
            'TlsbootServerErrors',
            'warning',
            'sum by (instance) (rate(apiserver_request_total{$tlsboot, code=~"5.."}[5m]))' +
            ' / sum by (instance) (rate(apiserver_request_total{$tlsboot}[5m])) > 0.05',
            'Requests end with a server error.',
            '{{ $value | humanizePercentage }} of the requests to {{ $labels.instance }} end with a server error.',
            '10m',
          ),
        ],
      },
      {
        name: 'tlsboot-certificates',
        rules: [
          alert(
            'TlsbootOwnCertificateEndsSoon',
            'warning',
            'tlsboot_own_certificate_expiry_timestamp_seconds{$tlsboot, certificate="serving"} - time() < %d * 86400' %
            config.servingDays +
            ' or tlsboot_own_certificate_expiry_timestamp_seconds{$tlsboot, certificate!="serving"} - time() < %d * 86400' %
            config.caDays,
            'A CA or the serving certificate ends soon.',
            'The certificate {{ $labels.certificate }} of {{ $labels.instance }} ends {{ $value | humanizeDuration }} from now.',
          ),
          // Kubelets have asked for the next one by nine tenths of a life. A node that was taken out of service counts until its
          // certificate ends.
          alert(
            'TlsbootCertificatesNotRenewed',
            'warning',
            'tlsboot_issued_certificates_overdue{$tlsboot, signer=~"%s"} > 0' % KUBELET,
            'Kubelets do not renew their certificates.',
            '{{ $value }} certificates of {{ $labels.signer }} end soon and are not renewed; the log of ' +
            '{{ $labels.instance }} names them.',
            '1h',
          ),
          // Those of people, web servers and other programs.
          alert(
            'TlsbootCertificateEndsSoon',
            'warning',
            'tlsboot_issued_certificate_expiry_timestamp_seconds{$tlsboot, signer!~"%s"} - time() < %d * 86400' %
            [KUBELET, config.certificateDays] +
            ' and on (instance, signer) tlsboot_issued_certificates_overdue{$tlsboot} > 0',
            'A certificate that no kubelet renews ends soon.',
            'A certificate of {{ $labels.signer }} is not renewed and ends {{ $value | humanizeDuration }} from now; the ' +
            'log of {{ $labels.instance }} names it.',
            '1h',
          ),
        ],
      },
      {
        name: 'tlsboot-controllers',
        rules: [
          alert(
            'TlsbootNoLeader',
            'critical',
            'max by (name) (leader_election_master_status{$tlsboot}) == 0',
            'No replica of a controller works.',
            'None of the replicas leads by the Lease {{ $labels.name }}.',
            '5m',
          ),
          alert(
            'TlsbootControllerStuck',
            'warning',
            'workqueue_longest_running_processor_seconds{$tlsboot} > 300',
            'A controller has worked on one object for more than five minutes.',
            '{{ $labels.name }} of {{ $labels.instance }} has worked on one object for {{ $value | humanizeDuration }}.',
          ),
          alert(
            'TlsbootApiRequestsFail',
            'warning',
            'sum by (instance) (rate(rest_client_requests_total{$tlsboot, code=~"5..|403|401|<error>"}[5m]))' +
            ' / sum by (instance) (rate(rest_client_requests_total{$tlsboot}[5m])) > 0.05',
            'The API refuses a signer or an approver, or cannot be reached.',
            '{{ $value | humanizePercentage }} of the requests of {{ $labels.instance }} to the API fail.',
            '10m',
          ),
        ],
      },
      {
        name: 'tlsboot-storage',
        rules: [
          // /readyz fails below --storage-min-free, 64 MB; this is before that.
          alert(
            'TlsbootDiskAlmostFull',
            'warning',
            'tlsboot_storage_disk_free_bytes{$tlsboot} < %d' % config.diskBytes,
            'The disk of the database is almost full.',
            '{{ $value | humanize1024 }}B are left for the database of {{ $labels.instance }}.',
            '5m',
          ),
          alert(
            'TlsbootWritesFail',
            'critical',
            'increase(tlsboot_storage_commit_failures_total{$tlsboot}[5m]) > 0',
            'The database cannot be written.',
            '{{ $labels.instance }} could not write to its database.',
          ),
          alert(
            'TlsbootWritesAreSlow',
            'warning',
            'histogram_quantile(0.99, sum by (instance, le)' +
            ' (rate(tlsboot_storage_commit_duration_seconds_bucket{$tlsboot}[5m]))) > 0.5',
            'Writes to the database are slow.',
            'One commit in a hundred takes more than half a second on {{ $labels.instance }}.',
            '10m',
          ),
          alert(
            'TlsbootAuditLost',
            'critical',
            'increase(apiserver_audit_error_total{$tlsboot}[5m]) > 0',
            'Audit events are lost.',
            '{{ $labels.instance }} could not write {{ $value }} audit events.',
          ),
          alert(
            'TlsbootAuditDiskAlmostFull',
            'warning',
            'tlsboot_audit_disk_free_bytes{$tlsboot} < %d' % config.diskBytes,
            'The disk of the audit log is almost full.',
            '{{ $value | humanize1024 }}B are left for the audit log of {{ $labels.instance }}.',
            '5m',
          ),
        ],
      },
      {
        name: 'tlsboot-machines',
        rules: [
          alert(
            'TlsbootMachineCertificateNotRenewed',
            'warning',
            '(x509_cert_not_after{%(doctor)s} - time())' % { doctor: config.doctorSelector } +
            ' / (x509_cert_not_after{%(doctor)s} - x509_cert_not_before{%(doctor)s}) < 0.1' %
            { doctor: config.doctorSelector },
            'A certificate on a machine is not renewed.',
            '{{ $labels.filepath }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} of its life left.',
            '1h',
          ),
          alert(
            'TlsbootMachineFindings',
            'warning',
            'tlsboot_doctor_findings{%s, severity="error"} > 0' % config.doctorSelector,
            'tlsboot doctor finds errors on a machine.',
            'tlsboot doctor reports {{ $value }} errors on {{ $labels.instance }}.',
            '1h',
          ),
          alert(
            'TlsbootMachineNotChecked',
            'info',
            'time() - tlsboot_doctor_last_run_timestamp_seconds{%s} > 6 * 3600' % config.doctorSelector,
            'tlsboot doctor does not run any more.',
            'tlsboot doctor last ran {{ $value | humanizeDuration }} ago on {{ $labels.instance }}.',
          ),
        ],
      },
    ],
  },
}
