//! Scripts for what no single command of a Redis does. Each touches only the keys that it is given.

/// A script and how many of its arguments are keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub keys: i64,
    pub text: &'static str,
}

impl Script {
    const fn new(keys: i64, text: &'static str) -> Self {
        Self { keys, text }
    }
}

/// `PREPEND key value`: the expiry stays.
pub(crate) const PREPEND: Script =
    Script::new(1, "redis.call('SET',KEYS[1],ARGV[1]..(redis.call('GET',KEYS[1]) or ''),'KEEPTTL')");

/// A rename of a key that may have been left out as unsupported: what was at the new name is gone in any case.
pub(crate) const RENAME: Script = Script::new(
    2,
    "if redis.call('EXISTS',KEYS[1])==1 then redis.call('RENAME',KEYS[1],KEYS[2]) else redis.call('DEL',KEYS[2]) end",
);

/// As [`RENAME`], if nothing is at the new name.
pub(crate) const RENAMENX: Script =
    Script::new(2, "if redis.call('EXISTS',KEYS[1])==1 then redis.call('RENAMENX',KEYS[1],KEYS[2]) end");

/// The shortest decimal text that reads back to the same number, with an exponent below 1e-6 and from 1e21 on
/// (Dragonfly `reply_builder.cc`, `FormatDouble`), followed by a script that uses it.
macro_rules! concat_script {
    ($body:literal) => {
        concat!(
            "local function text(v)",
            " if v==0 then return '0' end",
            " local s for p=0,16 do s=string.format('%.'..p..'e',v) if tonumber(s)==v then break end end",
            " local sign,head,tail,e=string.match(s,'^(-?)(%d)%.?(%d*)e([+-]%d+)$')",
            " local d=string.gsub(head..tail,'0+$','') e=tonumber(e) local n=#d",
            " if e<-6 or e>=21 then",
            " return sign..string.sub(d,1,1)..(n>1 and '.'..string.sub(d,2) or '')..'e'..(e<0 and '-' or '+')..string.format('%d',math.abs(e)) end",
            " if e<0 then return sign..'0.'..string.rep('0',-e-1)..d end",
            " if e>=n-1 then return sign..d..string.rep('0',e-n+1) end",
            " return sign..string.sub(d,1,e+1)..'.'..string.sub(d,e+2) end ",
            $body
        )
    };
}

/// `INCRBYFLOAT key increment` in 64-bit arithmetic, as Dragonfly does it; a Redis would use 80 bits and another
/// format, and end with another string (Dragonfly `string_family.cc`, `OpIncrFloat`).
pub(crate) const INCRBYFLOAT: Script = Script::new(
    1,
    concat_script!(
        "redis.call('SET',KEYS[1],text((tonumber(redis.call('GET',KEYS[1]) or '0'))+tonumber(ARGV[1])),'KEEPTTL')"
    ),
);

/// `HINCRBYFLOAT key field increment`, likewise.
pub(crate) const HINCRBYFLOAT: Script = Script::new(
    1,
    concat_script!(
        "redis.call('HSET',KEYS[1],ARGV[1],text((tonumber(redis.call('HGET',KEYS[1],ARGV[1]) or '0'))+tonumber(ARGV[2])))"
    ),
);
