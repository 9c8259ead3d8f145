//! Scripts for what no single Redis command does. Each touches only the keys that are passed to it, except [`SWEEP_ALL`].

/// A script, and how many of its arguments are keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub keys: u8,
    pub text: &'static str,
}

impl Script {
    const fn new(keys: u8, text: &'static str) -> Self {
        Self { keys, text }
    }
}

/// `PREPEND key value`. The key keeps its expiry.
pub(crate) const PREPEND: Script =
    Script::new(1, "redis.call('SET',KEYS[1],ARGV[1]..(redis.call('GET',KEYS[1]) or ''),'KEEPTTL')");

/// A rename of a key that may have been left out as unsupported. The old value of the new name is removed in any case.
pub(crate) const RENAME: Script = Script::new(
    2,
    "if redis.call('EXISTS',KEYS[1])==1 then redis.call('RENAME',KEYS[1],KEYS[2]) else redis.call('DEL',KEYS[2]) end",
);

/// KEYS: two streams; ARGV: how many entries and how many bytes to move from the first one to the end of the second one.
pub(crate) const MOVE_ENTRIES: &str = "local left,bytes=tonumber(ARGV[1]),tonumber(ARGV[2]) \
    while left>0 and bytes>0 do \
    local got=redis.call('XRANGE',KEYS[1],'-','+','COUNT',math.min(left,16)) \
    if #got==0 then return end \
    local ids={} for i=1,#got do local id,words=got[i][1],got[i][2] ids[i]=id \
    for j=1,#words do bytes=bytes-#words[j] end \
    redis.call('XADD',KEYS[2],id,unpack(words)) end \
    redis.call('XDEL',KEYS[1],unpack(ids)) left=left-#got end";

/// Like [`RENAME`], but only if the new name does not exist.
pub(crate) const RENAMENX: Script =
    Script::new(2, "if redis.call('EXISTS',KEYS[1])==1 then redis.call('RENAMENX',KEYS[1],KEYS[2]) end");

/// A function that returns the shortest decimal text that parses to the same number, followed by a script that uses it. The
/// text has an exponent below 1e-6 and from 1e21 on (Dragonfly `reply_builder.cc`, `FormatDouble`).
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

/// `INCRBYFLOAT key increment` in 64-bit arithmetic, like Dragonfly (`string_family.cc`, `OpIncrFloat`). Redis calculates
/// with 80 bits and formats differently, so its result would be a different string.
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

/// The same where the target removes fields itself: HSET would take the field's expiry away.
pub(crate) const HINCRBYFLOAT_KEEPING: Script = Script::new(
    1,
    concat_script!(
        "local due=redis.call('HPEXPIRETIME',KEYS[1],'FIELDS',1,ARGV[1]) local at=type(due)=='table' and due[1] or -2 \
         redis.call('HSET',KEYS[1],ARGV[1],text((tonumber(redis.call('HGET',KEYS[1],ARGV[1]) or '0'))+tonumber(ARGV[2]))) \
         if at>0 then redis.call('HPEXPIREAT',KEYS[1],string.format('%.0f',at),'FIELDS',1,ARGV[1]) end"
    ),
);

/// A script that changes due times, followed by the update of the registry, which holds the earliest due time of each key.
/// KEYS: the key, its due times, the registry. ARGV[1]: the key's member in the registry.
macro_rules! noted_script {
    ($body:literal) => {
        concat!(
            $body,
            " local n=redis.call('ZRANGE',KEYS[2],0,0,'WITHSCORES')",
            " if n[2] then redis.call('ZADD',KEYS[3],n[2],ARGV[1]) else redis.call('ZREM',KEYS[3],ARGV[1]) end"
        )
    };
}

/// Removes the due members of one key. ARGV[2]: the time.
pub(crate) const SWEEP: &str = noted_script!(
    "local t=redis.call('TYPE',KEYS[1]).ok local c=t=='set' and 'SREM' or t=='hash' and 'HDEL' \
     if not c then redis.call('DEL',KEYS[2]) \
     else repeat local due=redis.call('ZRANGEBYSCORE',KEYS[2],'-inf',ARGV[2],'LIMIT',0,1000) \
     if #due>0 then redis.call(c,KEYS[1],unpack(due)) redis.call('ZREM',KEYS[2],unpack(due)) end \
     until #due<1000 end"
);

/// Removes the due members of the due keys in a registry (KEYS[1]): at most 1000 members of each key, for at most ARGV[2]
/// keys. ARGV[1]: the time. The script also touches the keys that the registry names. They are in the same slot.
pub(crate) const SWEEP_ALL: &str = "for _,m in ipairs(redis.call('ZRANGEBYSCORE',KEYS[1],'-inf',ARGV[1],'LIMIT',0,ARGV[2])) do \
     local at=string.find(m,':',1,true) local len=tonumber(string.sub(m,1,at-1)) \
     local z,k=string.sub(m,at+1,at+len),string.sub(m,at+len+1) \
     local t=redis.call('TYPE',k).ok local c=t=='set' and 'SREM' or t=='hash' and 'HDEL' \
     if not c then redis.call('DEL',z) \
     else local due=redis.call('ZRANGEBYSCORE',z,'-inf',ARGV[1],'LIMIT',0,1000) \
     if #due>0 then redis.call(c,k,unpack(due)) redis.call('ZREM',z,unpack(due)) end end \
     local n=redis.call('ZRANGE',z,0,0,'WITHSCORES') \
     if n[2] then redis.call('ZADD',KEYS[1],n[2],m) else redis.call('ZREM',KEYS[1],m) end end";

/// `SADDEX`. ARGV from 2 on: whether existing members keep their expiry (`1`), when new ones are due, the members.
pub(crate) const SADDEX: &str = noted_script!(
    "for i=4,#ARGV do if redis.call('SADD',KEYS[1],ARGV[i])==1 or ARGV[2]=='0' then \
     redis.call('ZADD',KEYS[2],ARGV[3],ARGV[i]) end end"
);

/// Sets the expiry of existing members or fields. An expiry in the past removes them. ARGV from 2 on: the time, whether the
/// target removes fields itself (`1`), when they are due or `` for never, the condition (NX, XX, GT, LT or ``), the
/// members.
pub(crate) const EXPIRE_MEMBERS: &str = noted_script!(
    "local t=redis.call('TYPE',KEYS[1]).ok local has=t=='set' and 'SISMEMBER' or t=='hash' and 'HEXISTS' \
     local d,c=tonumber(ARGV[4]),ARGV[5] \
     for i=6,has and #ARGV or 0 do local f=ARGV[i] if redis.call(has,KEYS[1],f)==1 then \
     if ARGV[3]=='1' and t=='hash' then \
     if not d then redis.call('HPERSIST',KEYS[1],'FIELDS',1,f) \
     elseif c=='' and d<=tonumber(ARGV[2]) then redis.call('HDEL',KEYS[1],f) \
     elseif c=='' then redis.call('HPEXPIREAT',KEYS[1],ARGV[4],'FIELDS',1,f) \
     else redis.call('HPEXPIREAT',KEYS[1],ARGV[4],c,'FIELDS',1,f) end \
     else local s=tonumber(redis.call('ZSCORE',KEYS[2],f) or nil) \
     if not d then redis.call('ZREM',KEYS[2],f) \
     elseif c=='' or (c=='NX' and not s) or (c=='XX' and s) or (c=='GT' and s and d>s) or (c=='LT' and (not s or d<s)) \
     then if d>tonumber(ARGV[2]) then redis.call('ZADD',KEYS[2],ARGV[4],f) \
     else redis.call(t=='set' and 'SREM' or 'HDEL',KEYS[1],f) redis.call('ZREM',KEYS[2],f) end end end end end"
);

/// `HSETEX`. ARGV from 2 on: whether the target removes fields itself (`1`), the condition (NX for each field, FNX and FXX
/// for all of them, or ``), whether existing fields keep an expiry that they have (`1`), when the others are due or `` for
/// never, the fields and values.
pub(crate) const HSETEX: &str = noted_script!(
    "local ok=true for i=6,#ARGV,2 do local e=redis.call('HEXISTS',KEYS[1],ARGV[i]) \
     if (ARGV[3]=='FNX' and e==1) or (ARGV[3]=='FXX' and e==0) then ok=false end end \
     for i=6,ok and #ARGV or 0,2 do local f=ARGV[i] local e=redis.call('HEXISTS',KEYS[1],f)==1 \
     if not (ARGV[3]=='NX' and e) then local due=ARGV[5] \
     if ARGV[2]=='1' and e and ARGV[4]=='1' then local w=redis.call('HPEXPIRETIME',KEYS[1],'FIELDS',1,f)[1] \
     if w>0 then due=string.format('%.0f',w) end end \
     redis.call('HSET',KEYS[1],f,ARGV[i+1]) \
     if ARGV[2]=='1' then if due~='' then redis.call('HPEXPIREAT',KEYS[1],due,'FIELDS',1,f) end \
     elseif e and ARGV[4]=='1' then if due~='' then redis.call('ZADD',KEYS[2],'NX',due,f) end \
     elseif due~='' then redis.call('ZADD',KEYS[2],due,f) else redis.call('ZREM',KEYS[2],f) end end end"
);

/// `ZADD` with GT or LT, of a source that may ignore the option where a set is large. KEYS: the set. ARGV: `1` if it is known to,
/// and the record's arguments, in which a member may stand several times. If it is not known whether the option counted, and it
/// makes a difference, nothing is written.
pub(crate) const ZADD_BEYOND: &str = "local n,i,beyond,incr,xx,seen,all=redis.call('ZCARD',KEYS[1]),2,nil,false,false,{},{'ZADD',KEYS[1]} \
     while true do local o=string.upper(ARGV[i] or '') \
     if o=='GT' or o=='LT' then beyond=o elseif o=='XX' or o=='NX' or o=='CH' or o=='INCR' then \
     all[#all+1]=o incr=incr or o=='INCR' xx=xx or o=='XX' else break end i=i+1 end \
     for j=i,#ARGV do all[#all+1]=ARGV[j] end \
     if ARGV[1]=='1' and n>128 then return redis.call(unpack(all)) end \
     for j=i,#ARGV,2 do local m,new=ARGV[j+1],tonumber(ARGV[j]) \
     local old=seen[m] or tonumber(redis.call('ZSCORE',KEYS[1],m) or nil) \
     if old then if incr then new=old+new end \
     if (beyond=='GT' and new<old) or (beyond=='LT' and new>old) then \
     return redis.error_reply('AMBIGUOUS the source may have ignored '..beyond) end end \
     if old or not xx then seen[m]=new end end \
     table.insert(all,3,beyond) return redis.call(unpack(all))";

/// `SET key value KEEPTTL` of a key that the target lacks if its last value was left out. Then nothing is written.
pub(crate) const SET_KEEPTTL: Script = Script::new(
    1,
    "if redis.call('EXISTS',KEYS[1])==0 then return redis.error_reply('AMBIGUOUS the last value may have been left out') end \
     return redis.call('SET',KEYS[1],ARGV[1],'KEEPTTL')",
);

/// `ZREMRANGEBYLEX`, whose range is not defined where scores differ: each server, and each encoding, has its own then. ARGV: the
/// range. If they differ, nothing is written.
pub(crate) const ZREMRANGEBYLEX: Script = Script::new(
    1,
    "local first,last=redis.call('ZRANGE',KEYS[1],0,0,'WITHSCORES'),redis.call('ZRANGE',KEYS[1],-1,-1,'WITHSCORES') \
     if first[2]~=last[2] then return redis.error_reply('AMBIGUOUS the scores differ') end \
     return redis.call('ZREMRANGEBYLEX',KEYS[1],ARGV[1],ARGV[2])",
);

/// `LREM`, of a source that may stop early in a list of several nodes. ARGV: the count and the element. If it may have, nothing
/// is written.
pub(crate) const LREM: Script = Script::new(
    1,
    "if #redis.call('LPOS',KEYS[1],ARGV[2],'COUNT',2)>1 then local n,size=redis.call('LLEN',KEYS[1]),0 \
     if n<=512 then local all=redis.call('LRANGE',KEYS[1],0,-1) for i=1,#all do size=size+#all[i]+11 end end \
     if n>512 or size>4096 then return redis.error_reply('AMBIGUOUS the source may have stopped early') end end \
     return redis.call('LREM',KEYS[1],ARGV[1],ARGV[2])",
);

/// Moves the due times of a value to another key, before the value is renamed. KEYS: both keys, both sets of due times,
/// both registries. ARGV: both members in the registries, and `1` if the new name must not exist.
pub(crate) const MOVE_MEMBERS: &str = "if redis.call('EXISTS',KEYS[1])==1 and (ARGV[3]~='1' or redis.call('EXISTS',KEYS[2])==0) then \
     redis.call('ZREM',KEYS[5],ARGV[1]) redis.call('ZREM',KEYS[6],ARGV[2]) redis.call('DEL',KEYS[4]) \
     local n=redis.call('ZRANGE',KEYS[3],0,0,'WITHSCORES') \
     if n[2] then redis.call('RENAME',KEYS[3],KEYS[4]) redis.call('ZADD',KEYS[6],n[2],ARGV[2]) end end";

/// `MOVE key db`, with the due times. KEYS: the key, its due times, the registry. ARGV: the database, the key's member in
/// the registry.
pub(crate) const MOVE: &str = "if redis.call('MOVE',KEYS[1],ARGV[1])==1 then redis.call('MOVE',KEYS[2],ARGV[1]) \
     redis.call('ZREM',KEYS[3],ARGV[2]) end";

/// `DELEX key IFEQ value` and `DELEX key IFNE value`. ARGV: whether the values must be equal (`1`), the value.
pub(crate) const DELEX: Script = Script::new(
    1,
    "if redis.call('EXISTS',KEYS[1])==1 and (redis.call('GET',KEYS[1])==ARGV[2])==(ARGV[1]=='1') then redis.call('DEL',KEYS[1]) end",
);
