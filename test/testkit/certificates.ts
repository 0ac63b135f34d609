/** Certificates for receivers that speak TLS, made with openssl. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  key: string;
  cert: string;
}

export interface Authority {
  /** The certificate to trust, PEM. */
  file: string;
  /** A certificate for names as openssl writes them, such as `DNS:hooks.example` or `IP:127.0.0.1`. */
  issue(...names: string[]): Certificate;
}

/** An authority that nobody knows of, in a folder of the caller's. */
export function createAuthority(folder: string): Authority {
  const [caKey, caFile] = [join(folder, 'ca.key'), join(folder, 'ca.pem')];
  make(caKey, caFile, '/CN=An authority of tests');
  return {
    file: caFile,
    issue: (...names) => certificateFor(folder, names, ['-CA', caFile, '-CAkey', caKey]),
  };
}

/** A certificate that vouches for itself. */
export const selfSigned = (folder: string, ...names: string[]): Certificate => certificateFor(folder, names, []);

function certificateFor(folder: string, names: string[], issuer: string[]): Certificate {
  const [key, cert] = [join(folder, 'leaf.key'), join(folder, 'leaf.pem')];
  const extensions = [`subjectAltName=${names.join(',')}`, 'basicConstraints=critical,CA:FALSE'];
  make(key, cert, '/CN=A receiver of tests', ...issuer, ...extensions.flatMap((each) => ['-addext', each]));
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

function make(keyFile: string, certFile: string, subject: string, ...more: string[]): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const args = ['req', '-x509', '-days', '2', '-subj', subject, '-out', certFile, ...key, ...more];
  const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl made no certificate: ${error?.message ?? stderr}`);
}
