//! What the server does with a claim's record, each in one step and by its own clock.

/// `{1, now}`: it is the caller's. `{0, now, record}`: another's. `{3, now}`: another's, and longer than was asked for. `{2, now}`: it is not even
/// a string.
pub(super) const CLAIM: &str = "local time = redis.call('TIME') \
    local now = time[1] * 1000 + math.floor(time[2] / 1000) \
    local record = ARGV[1] .. string.format('%016.0f', now + ARGV[2]) \
    if redis.call('SET', KEYS[1], record, 'NX', 'PX', ARGV[3]) then return {1, now, ''} end \
    local head = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[5] - 1) \
    if type(head) ~= 'string' then return {2, now, ''} end \
    if head == string.sub(ARGV[1], 1, ARGV[5]) then \
        redis.call('SET', KEYS[1], record, 'PX', ARGV[3]) return {1, now, ''} \
    end \
    if redis.call('STRLEN', KEYS[1]) > tonumber(ARGV[4]) then return {3, now, ''} end \
    return {0, now, redis.call('GET', KEYS[1])}";

/// Replaces a record of the same owner, or none.
pub(super) const END: &str = "local owner = redis.pcall('GETRANGE', KEYS[1], 2, 17) \
    if owner ~= '' and owner ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) \
    return 1";

/// Removes a record that begins so.
pub(super) const RELEASE: &str = "if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] then return redis.call('DEL', KEYS[1]) end \
    return 0";

/// What [`CLAIM`] tells of another's record, and changes nothing; `{4, now}`: there is none.
pub(super) const LOOK: &str = "local time = redis.call('TIME') \
    local now = time[1] * 1000 + math.floor(time[2] / 1000) \
    local head = redis.pcall('GETRANGE', KEYS[1], 0, 0) \
    if type(head) ~= 'string' then return {2, now, ''} end \
    if head == '' then if redis.call('EXISTS', KEYS[1]) == 0 then return {4, now, ''} else return {2, now, ''} end end \
    if redis.call('STRLEN', KEYS[1]) > tonumber(ARGV[1]) then return {3, now, ''} end \
    return {0, now, redis.call('GET', KEYS[1])}";
