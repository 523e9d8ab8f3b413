{
  _config+:: {
    // Selects the series of tlsboot. kube-apiserver has some of the same names.
    tlsbootSelector: 'job="tlsboot"',
    // Selects what `tlsboot doctor -o textfile` writes, which the node exporter serves.
    doctorSelector: 'job="node"',
    // Days before the end of a certificate that no program renews by itself.
    certificateDays: 14,
    caDays: 90,
    // The serving certificate is renewed at 70 % of its lifetime of a year.
    servingDays: 30,
    diskBytes: 512 * 1024 * 1024,
    dashboardUid: 'tlsboot',
    dashboardTags: ['tlsboot-mixin'],
  },
}
