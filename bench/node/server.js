// The pages as a team would write them with Node: Fastify with response schemas, grpc-js, DataLoader, fast-jwt, prom-client, a process
// for each core. The duties are those of the other arms.

import cluster from 'node:cluster';
import { createPublicKey, randomBytes } from 'node:crypto';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import DataLoader from 'dataloader';
import { createVerifier } from 'fast-jwt';
import Fastify from 'fastify';
import { LRUCache } from 'lru-cache';
import prometheus from 'prom-client';

const [protos, text] = process.argv.slice(2);
const brief = JSON.parse(text);

// What answers look like; Fastify makes fast writers of it.
const integer = { type: 'integer' };
const string = { type: 'string' };
const object = (properties) => ({ type: 'object', properties });
const array = (items) => ({ type: 'array', items });
const personShape = object({ id: integer, name: string, born: integer, portrait: string });
const filmShape = object({
  id: integer, title: string, year: integer, minutes: integer, genres: array(string), synopsis: string, poster: string,
});
const itemShape = object({ id: integer, film: integer, stars: integer, text: string, written_at: integer, author: personShape });
const levelShape = object({
  id: integer, stars: integer, author: personShape, film: filmShape, directors: array(personShape), reviews: integer,
});
const shapes = {
  page: object({ viewer: string, items: array(itemShape) }),
  personPage: object({ viewer: string, person: personShape }),
  filmPage: object({ viewer: string, film: filmShape }),
  levels: object({ viewer: string, items: array(levelShape) }),
};

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_, address) => {
    listening += 1;
    if (listening === brief.workers) console.error(`node serves on http://127.0.0.1:${address.port}`);
  });
  for (let i = 0; i < brief.workers; i++) cluster.fork();
} else {
  await serve();
}

async function serve() {
  const call = connect();
  const verify = verifier();
  const counts = metrics();
  const shared = brief.cache === 'off' ? null : new LRUCache({ max: brief.entries, ttl: 600_000 });
  const server = Fastify({ bodyLimit: 1 << 20, logger: false, requestTimeout: 30_000 });
  let under_way = 0;

  server.decorateRequest('caller', null);
  server.addHook('onRequest', async (request, reply) => {
    request.started = process.hrtime.bigint();
    if (++under_way > 512) return reply.code(503).send({ title: 'the server is full', status: 503 });
    const bearer = request.headers.authorization;
    let subject;
    try {
      subject = verify(bearer?.slice('Bearer '.length)).sub;
    } catch {
      return reply.code(401).send({ title: 'this endpoint needs a bearer token', status: 401 });
    }
    const trace = request.headers.traceparent ?? `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
    reply.header('x-request-id', request.headers['x-request-id'] ?? randomBytes(16).toString('hex'));
    reply.header('traceparent', trace);
    request.caller = loaders(call, shared, subject, trace);
  });
  server.addHook('onResponse', async (request, reply) => {
    under_way -= 1;
    const endpoint = request.routeOptions.url;
    counts.requests.inc({ endpoint, status: reply.statusCode });
    counts.seconds.observe({ endpoint }, Number(process.hrtime.bigint() - request.started) / 1e9);
  });
  server.setErrorHandler((error, _, reply) => {
    const status = { 5: 404, 4: 504, 14: 503 }[error.code] ?? 502;
    reply.code(status).send({ title: error.message, status });
  });

  server.get('/web/page/:items', { schema: { response: { 200: shapes.page } } }, async ({ caller, params }) => {
    const { reviews } = await caller.lists.load(Number(params.items));
    const items = await Promise.all(
      reviews.map(async (review) => ({
        id: review.id,
        film: review.film_id,
        stars: review.stars,
        text: review.text,
        written_at: review.written_at,
        author: person(await caller.people.load(review.author_id)),
      })),
    );
    return { viewer: caller.subject, items };
  });
  server.get('/web/people/:id', { schema: { response: { 200: shapes.personPage } } }, async ({ caller, params }) => {
    return { viewer: caller.subject, person: person(await caller.people.load(Number(params.id))) };
  });
  server.get('/web/films/:id', { schema: { response: { 200: shapes.filmPage } } }, async ({ caller, params }) => {
    return { viewer: caller.subject, film: film(await caller.films.load(Number(params.id))) };
  });
  server.get('/web/levels/:items', { schema: { response: { 200: shapes.levels } } }, async ({ caller, params }) => {
    const { reviews } = await caller.lists.load(Number(params.items));
    const items = await Promise.all(
      reviews.map(async (review) => {
        const [author, found] = await Promise.all([
          caller.people.load(review.author_id),
          caller.films.load(review.film_id).then(async (film) => {
            const directors = Promise.all(film.director_ids.map((id) => caller.people.load(id)));
            const [people, summary] = await Promise.all([directors, caller.summaries.load(film.id)]);
            return { film, people, summary };
          }),
        ]);
        return {
          id: review.id,
          stars: review.stars,
          author: person(author),
          film: film(found.film),
          directors: found.people.map(person),
          reviews: found.summary.count,
        };
      }),
    );
    return { viewer: caller.subject, items };
  });
  server.get('/metrics', async () => prometheus.register.metrics());
  await server.listen({ host: '127.0.0.1', port: 0 });
}

const person = ({ id, name, born, portrait_url }) => ({ id, name, born, portrait: portrait_url });
const film = ({ id, title, year, minutes, genres, synopsis, poster_url }) => ({
  id, title, year, minutes, genres, synopsis, poster: poster_url,
});

function verifier() {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: brief.key };
  const key = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  return createVerifier({ key, algorithms: ['EdDSA'], allowedIss: brief.issuer, allowedAud: brief.audience, cache: false });
}

function metrics() {
  const buckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
  return {
    requests: new prometheus.Counter({ name: 'bff_requests_total', help: 'Requests answered', labelNames: ['endpoint', 'status'] }),
    seconds: new prometheus.Histogram({ name: 'bff_request_duration_seconds', help: 'From head to answer', labelNames: ['endpoint'], buckets }),
  };
}

/// A function for each method; safe ones are tried again where the backend was not available.
function connect() {
  const files = ['catalog/v1/films.proto', 'people/v1/people.proto', 'reviews/v1/reviews.proto'];
  const options = { keepCase: true, longs: Number, defaults: true, includeDirs: [protos] };
  const loaded = grpc.loadPackageDefinition(protoLoader.loadSync(files, options));
  const credentials = grpc.credentials.createInsecure();
  const limits = { 'grpc.max_receive_message_length': 16 << 20 };
  const { catalog, people, reviews } = brief.backends;
  const clients = {
    films: new loaded.catalog.v1.Films(catalog, credentials, limits),
    people: new loaded.people.v1.People(people, credentials, limits),
    reviews: new loaded.reviews.v1.Reviews(reviews, credentials, limits),
  };
  const once = (client, method, message, metadata) =>
    new Promise((resolve, reject) => {
      clients[client][method](message, metadata, { deadline: Date.now() + 5000 }, (error, reply) =>
        error ? reject(error) : resolve(reply),
      );
    });
  return async (client, method, message, metadata) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(client, method, message, metadata);
      } catch (error) {
        if (error.code !== grpc.status.UNAVAILABLE || attempt === 3) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * (20 << attempt)));
      }
    }
  };
}

/// The loaders of one request: what it asks for at the same time leaves in one batch.
function loaders(call, shared, subject, trace) {
  const metadata = new grpc.Metadata();
  metadata.set('traceparent', trace);
  if (brief.cache !== 'public') metadata.set('x-md-global-subject', subject);
  const owner = brief.cache === 'principal' ? subject : '';

  const cached = (kind, load) => {
    if (!shared) return load;
    return async (keys) => {
      const known = keys.map((key) => shared.get(`${owner}/${kind}/${key}`));
      const missing = keys.filter((_, place) => known[place] === undefined);
      if (missing.length === 0) return known;
      const loaded = await load(missing);
      const fresh = new Map(missing.map((key, place) => [key, loaded[place]]));
      for (const [key, item] of fresh) if (!(item instanceof Error)) shared.set(`${owner}/${kind}/${key}`, item);
      return keys.map((key, place) => known[place] ?? fresh.get(key));
    };
  };
  const batched = (client, method, keys, items, key) => async (ids) => {
    const reply = await call(client, method, { [keys]: ids }, metadata);
    const found = new Map(reply[items].map((item) => [item[key], item]));
    return ids.map((id) => found.get(id) ?? Object.assign(new Error(`there is no ${id}`), { code: 5 }));
  };
  const many = (kind, load) => new DataLoader(cached(kind, load), { maxBatchSize: 100 });
  const list = (sizes) => Promise.all(sizes.map((size) => call('reviews', 'ListReviews', { page_size: size }, metadata)));
  return {
    subject,
    lists: many('lists', list),
    people: many('people', batched('people', 'BatchGetPeople', 'ids', 'people', 'id')),
    films: many('films', batched('films', 'BatchGetFilms', 'ids', 'films', 'id')),
    summaries: many('summaries', batched('reviews', 'BatchGetSummaries', 'film_ids', 'summaries', 'film_id')),
  };
}
