import type { OutgoingHttpHeaders } from 'node:http';
import type { RequestHandler, Response } from 'express';
import helmet from 'helmet';

/**
 * Scripts, styles, pictures and requests from this portal only. HSTS and cookies are left to the host, whose domain it is.
 * `takeBack` is for what turns out to be none of our addresses: the host's own pages have the host's own headers.
 */
export function secureHeaders(styleOrigins: readonly string[]): { set: RequestHandler; takeBack: RequestHandler } {
  const before = new WeakMap<Response, OutgoingHttpHeaders>();
  const setAll = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        connectSrc: ["'self'"],
        fontSrc: ["'self'", ...styleOrigins],
        formAction: ["'self'"],
        frameAncestors: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        scriptSrc: ["'self'"],
        scriptSrcAttr: ["'none'"],
        styleSrc: ["'self'", ...styleOrigins],
      },
    },
    strictTransportSecurity: false,
    crossOriginEmbedderPolicy: false,
    referrerPolicy: { policy: 'same-origin' },
  });
  return {
    set(request, response, next) {
      before.set(response, response.getHeaders());
      setAll(request, response, next);
    },
    takeBack(_request, response, next) {
      const host = before.get(response) ?? {};
      for (const name of response.getHeaderNames()) if (!(name in host)) response.removeHeader(name);
      for (const [name, value] of Object.entries(host)) if (value !== undefined) response.setHeader(name, value);
      next();
    },
  };
}
