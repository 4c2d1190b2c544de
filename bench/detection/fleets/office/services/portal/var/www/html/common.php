<?php
const DATABASE = 'host=database dbname=office user=portal password=spring-2026 connect_timeout=2';

function rows($sql)
{
    $connection = pg_connect(DATABASE);
    $result = $connection ? pg_query($connection, $sql) : false;
    $rows = $result ? (pg_fetch_all($result) ?: []) : [];
    if ($connection) pg_close($connection);
    return $rows;
}

// One command to the cache, and the first line of its answer.
function cached($command)
{
    $cache = @fsockopen('cache', 11211, $code, $message, 1);
    if (!$cache) return '';
    fwrite($cache, $command);
    stream_set_timeout($cache, 1);
    $line = fgets($cache);
    if (str_starts_with($line, 'VALUE')) $line .= fgets($cache);
    fclose($cache);
    return $line;
}
