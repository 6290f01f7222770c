-- name: GuessMissed :one
-- Counts one miss within the guesser's window, which begins with the first and ends by itself.
insert into guesses (kind, guesser, ends_at)
values (@kind, @guesser, clock_timestamp() + make_interval(secs => @seconds::float8))
on conflict (kind, guesser) do update set
    misses = case when guesses.ends_at > clock_timestamp() then guesses.misses + 1 else 1 end,
    ends_at = case when guesses.ends_at > clock_timestamp() then guesses.ends_at else excluded.ends_at end
returning misses, extract(epoch from ends_at - clock_timestamp())::float8 as seconds_left;

-- name: GuessesSweep :execrows
delete from guesses where ends_at < now();
